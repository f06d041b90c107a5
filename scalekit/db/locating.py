"""Ask a primary where its log ends, after the last commit of a unit of work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from scalekit.db.events import POSITION_UNKNOWN
from scalekit.db.facts import new_pin
from scalekit.db.pins import Pin, Pins
from scalekit.db.positions import Position, end_of_last_record, parse_lsn, parse_timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

SQL = Path(__file__).with_name("position.sql").read_text()


def located(primaries: Iterable[str]) -> Pins:
    """Return pins for what has been committed to `primaries`: one query each, on this thread's connection."""
    return {alias: _pin(alias) for alias in primaries}


def _pin(alias: str) -> Pin:
    """Return a pin with the position; without, where there is none to be had."""
    pin, connection = new_pin(), connections[alias]
    if connection.vendor != "postgresql" or _in_transaction(connection):
        return pin
    try:
        position = position_of(connection)
    except Error as error:
        POSITION_UNKNOWN.emit(alias=alias, error=str(error).strip())
        return pin
    return pin if position is None else Pin(pin.expiry, *position)


def position_of(connection: Any) -> Position | None:
    """Return the end of a primary's log; None from a standby, which does not know it."""
    with connection.cursor() as cursor:
        cursor.execute(SQL)
        row = cursor.fetchone()
    if row is None:
        return None
    system, wal_file, lsn, page, segment = row
    return Position(
        system, parse_timeline(wal_file), end_of_last_record(parse_lsn(lsn), page, segment)
    )


def _in_transaction(connection: Any) -> bool:
    """Return whether a commit may still be to come: also in a test's own transaction."""
    return connection.in_atomic_block or not connection.get_autocommit()
