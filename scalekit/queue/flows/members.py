"""Finish members that are not the last of their group: nearly all of them, so in the shortest way there is."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.queue.conf import settings
from scalekit.queue.records.grouping import GroupCommit
from scalekit.queue.records.quickly import can_be_quick
from scalekit.queue.records.steps import Ended, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

SQL = Path(__file__).with_name("succeed_and_count.sql").read_text()

_groups: dict[str, GroupCommit[Ending, Ended | None]] = {}


def count_quickly(ending: Ending, database: str) -> Ended | None:
    """Finish a member that succeeded, count it, and return what was written.

    None, and nothing is written, where that would set off more or the job is this worker's no longer: what
    happens then is for `advance`, in a transaction. Members that end at the same time are written together.
    """
    if not (_is_plain(ending) and can_be_quick(database)):
        return None
    connections[database].close_if_unusable_or_obsolete()
    if database not in _groups:  # of two threads, both get the first
        _groups.setdefault(database, GroupCommit(partial(_write, database)))
    return _groups[database].submit(ending)


def _is_plain(ending: Ending) -> bool:
    record = ending.record
    flow = record.options.get("flow") or {}
    follows = flow.get("steps") or flow.get("counted")
    return ending.is_plain_success and record.group is not None and not follows


def _write(database: str, endings: Sequence[Ending]) -> list[Ended | None]:
    said = [
        {"id": str(ending.id), "attempt": ending.record.attempt, "value": ending.value}
        for ending in endings
    ]
    with connections[database].cursor() as cursor:
        keep = settings.KEEP_SUCCESSFUL_SECONDS
        cursor.execute(SQL, {"said": json.dumps(said), "keep": keep})
        finished = dict(cursor.fetchall())
    return [
        Ended("written", {**ending.fields, "finished_at": at}, at)
        if (at := finished.get(ending.id))
        else None
        for ending in endings
    ]


if hasattr(os, "register_at_fork"):
    # Whoever led a group, or waited for one, is a thread of the parent's.
    os.register_at_fork(after_in_child=_groups.clear)
