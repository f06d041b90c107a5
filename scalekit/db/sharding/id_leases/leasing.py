"""Lease a number from `default`, so that no other process makes the same ids.

What is leased is a number and a stretch of milliseconds: each stretch of a number is given out once, by a row that
only grows. So it does not matter whether clocks agree, whether a process was frozen, or whether it died.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error, IntegrityError, connections

from scalekit.db.conf import settings
from scalekit.db.events import ID_LEASE_FAILED
from scalekit.db.sharding.ids import EPOCH_MS, NUMBERS, Everything, Lease, wall_clock
from scalekit.db.sharding.mapping.connecting import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.db.sharding.ids import Share

READ, TAKE, EXTEND, INSERT = (
    Path(__file__).with_name(f"{name}.sql").read_text("utf-8")
    for name in ("read", "take", "extend", "insert")
)
TABLE = "scalekit_db_idlease"
TRIES = 50  # to take a number that others are after too
AGAIN_MS = 5000  # until which a process that got none makes ids without
PATIENCE = 2  # seconds to connect, and for the statements: all who need an id wait


class Leases:
    """The leases of this process, one after the other."""

    def __init__(self, clock: Callable[[], int] = wall_clock) -> None:
        self._clock = clock
        self.fork()

    def fork(self) -> None:
        """Be a holder of its own in a child process."""
        self._holder = uuid4().hex
        self._lease: Lease | None = None
        self._failure = ""

    def share(self, ms: int) -> Share:
        """Return a share that is good from a millisecond on: all there is, for a while, if none can be leased."""
        if not is_leasing():
            return Everything(last=ms + AGAIN_MS)
        try:
            self._lease = ask(lambda connection: self._leased(connection, ms), patience=PATIENCE)
        except (Error, RuntimeError) as error:  # the latter where no thread can be started any more
            self._lease = None
            self._failure = str(error).strip()
        return self._lease or Everything(last=ms + AGAIN_MS)

    def tell(self) -> None:
        """Say that the last lease failed, if it did."""
        failure, self._failure = self._failure, ""
        if failure:
            ID_LEASE_FAILED.emit(error=failure)

    def _leased(self, connection: Any, ms: int) -> Lease | None:
        if connection.vendor == "postgresql":
            _execute(connection, f"SET statement_timeout = {PATIENCE * 1000}", [])
        if TABLE not in connection.introspection.table_names():
            return None  # before `migrate`
        return self._extended(connection, ms) or self._taken(connection, ms)

    def _extended(self, connection: Any, ms: int) -> Lease | None:
        mine = self._lease
        if mine is None:
            return None
        until = max(ms, mine.last) + _length()
        if not _execute(connection, EXTEND, [until, mine.number, mine.last, self._holder]):
            return None  # another has taken it since
        return Lease(mine.number, mine.last + 1, until)

    def _taken(self, connection: Any, ms: int) -> Lease:
        for _ in range(TRIES):
            number, ended = self._free_number(connection)
            first = max(ms, ended + 1)
            until = first + _length()
            if ended < 0:
                taken = _inserted(connection, [self._holder, until, number])
            else:
                taken = _execute(connection, TAKE, [self._holder, until, number, ended])
            if taken:
                return Lease(number, first, until)
        raise DatabaseError(f"other processes were faster {TRIES} times")

    def _free_number(self, connection: Any) -> tuple[int, int]:
        """Return a number and when its last lease ended, -1 if it never had one.

        A lease is left alone for as long again as it lasts: a primary that was promoted in between may not know of
        its holder's last stretch.
        """
        ends = dict(_rows(connection))
        gone = self._clock() - EPOCH_MS - _length()
        free = [number for number, until in ends.items() if until < gone]
        free = free or [number for number in range(NUMBERS) if number not in ends]
        if not free:
            raise DatabaseError(f"all {NUMBERS} numbers are leased")
        number = random.choice(free)  # noqa: S311 - so that those who start at once seldom want the same
        return number, ends.get(number, -1)


def is_leasing() -> bool:
    """Return whether ids are leased: with shards, unless it is switched off, and not on SQLite.

    SQLite has one writer: who holds a transaction would wait for itself.
    """
    return bool(
        settings.SHARDING
        and settings.ID_LEASE_SECONDS
        and connections[DEFAULT_DB_ALIAS].vendor != "sqlite"
    )


def _length() -> int:
    return int(settings.ID_LEASE_SECONDS * 1000)


def _rows(connection: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(READ)
        return cursor.fetchall()


def _execute(connection: Any, sql: str, params: list[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return bool(cursor.rowcount)


def _inserted(connection: Any, params: list[Any]) -> bool:
    try:
        return _execute(connection, INSERT, params)
    except IntegrityError:
        return False  # another was faster


leases = Leases()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=leases.fork)
