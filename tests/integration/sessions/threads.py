"""Requests at once: each in a thread, which leaves no connection behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def in_threads(count, function):
    """Call ``function(number)`` in as many threads at once; return what they return."""

    def call(number):
        try:
            return function(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))
