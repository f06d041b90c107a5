"""What a test wants done by migrations on each database: `on_shards.append(function)`."""

from __future__ import annotations

on_shards = []  # by 0003, whose hint names a sharded model
anywhere = []  # by 0004, which has no hint


def migrated(alias, apps):
    for function in on_shards:
        function(alias, apps)


def migrated_anywhere(alias, apps):
    for function in anywhere:
        function(alias, apps)


def clear():
    on_shards.clear()
    anywhere.clear()
