"""One group commit for each database of this process, and what to do while a database is down."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from django.db import (
    DataError,
    Error,
    IntegrityError,
    NotSupportedError,
    connections,
)

from scalekit.queue.events import RECORD_WAITING
from scalekit.queue.exceptions import StoreUnreachable
from scalekit.queue.records.grouping import GroupCommit, GroupInterrupted
from scalekit.queue.records.writing import Answer, Step, write

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

logger = logging.getLogger("scalekit.queue")

PAUSES = (0.05, 0.2)  # seconds: a deadlock, or a connection from before a restart, needs no more
LONGEST_PAUSE = 1.0

_groups: dict[str, GroupCommit[Step, Answer]] = {}

# What is wrong with the statement, and not with the database: to try again would be of no use.
_OF_NO_USE = (DataError, IntegrityError, NotSupportedError)


def submit(database: str, step: Step) -> Answer:
    """Write `step` together with what other threads want written. Raises `StoreUnreachable`."""
    return reaching(database, lambda: group_of(database).submit(step))


def group_of(database: str) -> GroupCommit[Step, Answer]:
    """Return what the threads of this process write to `database` by."""
    found = _groups.get(database)
    if found is None:  # of two threads, both get the first
        found = _groups.setdefault(database, GroupCommit(partial(_write, database)))
    return found


def reaching(database: str, func: Callable[[], T]) -> T:
    """Return what `func` does on `database`, at the third attempt at the latest. Raises `StoreUnreachable`."""
    for pause in (*PAUSES, None):
        try:
            return func()
        except GroupInterrupted:
            continue
        except _OF_NO_USE:
            raise
        except Error as error:
            _give_up_connection(database)
            if pause is None:
                raise _unreachable(database, error) from error
            time.sleep(pause)
    raise _unreachable(database, "its writes were interrupted")


def insisting(database: str, func: Callable[[], T]) -> T:
    """Return what `func` does on `database`, however long that is down.

    Its caller holds a message that is not acknowledged: if this process is stopped meanwhile, another takes
    it up.
    """
    while True:
        try:
            return reaching(database, func)
        except StoreUnreachable as error:
            logger.warning("%s The job waits.", error)
            time.sleep(LONGEST_PAUSE)


def _unreachable(database: str, why: object) -> StoreUnreachable:
    RECORD_WAITING.emit(database=database)
    return StoreUnreachable(f"The records in database {database!r} cannot be written: {why}.")


def _write(database: str, steps: list[Step]) -> list[Answer]:
    connection = connections[database]
    if not connection.in_atomic_block:  # a task may have left autocommit off: nothing would commit
        connection.close_if_unusable_or_obsolete()
    return write(database, steps)


def _give_up_connection(database: str) -> None:
    connection = connections[database]
    if not connection.in_atomic_block:
        connection.close()


if hasattr(os, "register_at_fork"):
    # Whoever led a group, or waited for one, is a thread of the parent's.
    os.register_at_fork(after_in_child=_groups.clear)
