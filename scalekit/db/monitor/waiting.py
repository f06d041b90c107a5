"""Wait, for milliseconds, until a replica shows a position."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from scalekit.db.monitor.reading import PROBE, observation
from scalekit.db.monitor.watching import monitor
from scalekit.db.positions import format_lsn

if TYPE_CHECKING:
    from scalekit.db.positions import Position

WAITS_ITSELF = 190000  # the version of PostgreSQL that brought WAIT FOR LSN
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.008  # seconds between two questions


def shows(alias: str, position: Position, seconds: float) -> bool:
    """Return whether a replica shows `position`, at once or within `seconds`; what it said is kept.

    Asked on this thread's own connection to it, which the read that follows will use.
    """
    connection: Any = connections[alias]
    if connection.in_atomic_block:
        return False  # its snapshot may be older than what it replays now
    try:
        with _not_moving(connection), connection.cursor() as cursor:
            return _ask(cursor, alias, position, time.monotonic() + seconds)
    except Error:
        return False  # the read itself will meet the failure, and knows what to do


def _ask(cursor: Any, alias: str, position: Position, deadline: float) -> bool:
    pause = FIRST_PAUSE
    while True:
        asked = time.monotonic()
        cursor.execute(PROBE)
        seen = observation(cursor.fetchone(), at=asked, took=0)
        if seen.standby and seen.exact and seen.position.reaches(position):
            monitor.learn(alias, seen.position)
            return True
        left = deadline - time.monotonic()
        if left <= 0 or not seen.standby:
            return False
        _pause(cursor, position, min(left, pause))
        pause = min(pause * 2, LONGEST_PAUSE)


def _pause(cursor: Any, position: Position, seconds: float) -> None:
    if cursor.connection.info.server_version < WAITS_ITSELF:
        time.sleep(seconds)
        return
    # It returns as soon as the position is there, but does not know of timelines: we look ourselves.
    lsn, limit = format_lsn(position.lsn), max(1, round(LONGEST_PAUSE * 1000))
    cursor.execute(
        f"WAIT FOR LSN '{lsn}' WITH (MODE 'standby_replay', TIMEOUT '{limit}ms', NO_THROW)"
    )


class _not_moving:  # noqa: N801 - reads as a clause, like contextlib's
    """Let a connection of `scalekit.db.backends.postgresql` ask its own server and no other."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._before = getattr(self._connection, "moves_reads", None)
        self._connection.moves_reads = False

    def __exit__(self, *exc_info: object) -> None:
        self._connection.moves_reads = self._before
