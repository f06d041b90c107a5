"""Finish members that are not the last of their group: nearly all of them, so in the shortest way there is."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.queue.records.grouping import GroupCommit
from scalekit.queue.records.quickly import can_be_quick, succeed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.queue.records.steps import Ended, Ending

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
    return succeed(database, endings, SQL)


if hasattr(os, "register_at_fork"):
    # Whoever led a group, or waited for one, is a thread of the parent's.
    os.register_at_fork(after_in_child=_groups.clear)
