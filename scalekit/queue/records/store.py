"""One group commit for each database of this process, and what to do while a database is down."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import (
    DataError,
    Error,
    IntegrityError,
    NotSupportedError,
    connections,
)

from scalekit.core.context import unit_of_work
from scalekit.queue.events import RECORD_WAITING
from scalekit.queue.exceptions import StoreUnreachable
from scalekit.queue.records.grouping import GroupCommit, GroupInterrupted
from scalekit.queue.records.quickly import begin, can_be_quick, succeed
from scalekit.queue.records.writing import write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.queue.records.steps import Claim, Claimed, Ended, Ending

T = TypeVar("T")
S = TypeVar("S")
A = TypeVar("A")

logger = logging.getLogger("scalekit.queue")

PAUSES = (0.05, 0.2)  # seconds: a deadlock, or a connection from before a restart, needs no more
LONGEST_PAUSE = 1.0

# What is wrong with the statement, and not with the database: to try again would be of no use.
_OF_NO_USE = (DataError, IntegrityError, NotSupportedError)


class Groups(Generic[S, A]):
    """What the threads of this process write by: one group commit for each database.

    `quickly` answers the steps that go the usual way, or None; the others are written one way or another.
    """

    def __init__(self, quickly: Callable[[str, Sequence[S]], list[A | None]]) -> None:
        self._quickly = quickly
        self._of: dict[str, GroupCommit[S, A]] = {}
        if hasattr(os, "register_at_fork"):
            # Whoever led a group, or waited for one, is a thread of the parent's.
            os.register_at_fork(after_in_child=self._of.clear)

    def __getitem__(self, database: str) -> GroupCommit[S, A]:
        found = self._of.get(database)
        if found is None:  # of two threads, both get the first
            found = self._of.setdefault(database, GroupCommit(partial(self._write, database)))
        return found

    def submit(self, database: str, step: S) -> A:
        """Write `step` together with what other threads want written. Raises `StoreUnreachable`."""
        return reaching(database, lambda: self[database].submit(step))

    def _write(self, database: str, steps: Sequence[S]) -> Sequence[A | Exception]:
        # In a unit of its own: it is no write of the job's, whose reads it must not pin to the primary.
        with unit_of_work():
            answers = self._quick_answers(database, steps)
            left = [step for step, answer in zip(steps, answers, strict=True) if answer is None]
            others = iter(_write_each(database, left) if left else [])
        return [next(others) if answer is None else answer for answer in answers]

    def _quick_answers(self, database: str, steps: Sequence[S]) -> Sequence[A | None]:
        try:
            if can_be_quick(database):
                return self._quickly(database, steps)
        except _OF_NO_USE:  # of one of them: the longer way tells of which
            pass
        return [None] * len(steps)


claims: Groups[Claim, Claimed] = Groups(begin)
endings: Groups[Ending, Ended] = Groups(succeed)


def _write_each(database: str, steps: Sequence[Any]) -> list[Any]:
    """Write all of `steps`, or, if one of them cannot be written, each by itself; that one's answer is why."""
    try:
        return write(database, steps)
    except Exception as error:
        if is_outage(error):
            raise
        if len(steps) == 1:
            return [error]
    return [answer for step in steps for answer in _write_each(database, [step])]


def is_outage(error: BaseException) -> bool:
    """Tell whether it is the database that fails, and not what it was asked."""
    return isinstance(error, Error) and not isinstance(error, _OF_NO_USE)


def reaching(database: str, func: Callable[[], T]) -> T:
    """Return what `func` does on `database`, at the third attempt at the latest. Raises `StoreUnreachable`."""
    for pause in (*PAUSES, None):
        try:
            return func()
        except GroupInterrupted:
            continue
        except Error as error:
            if not is_outage(error):
                raise
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


def _give_up_connection(database: str) -> None:
    connection = connections[database]
    if not connection.in_atomic_block:
        connection.close()
