"""Statements on a connection of its own, and waiting for what they show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.reference.source import slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0  # seconds for a worker to end, or a shard to catch up


def slot_name(default: Any, alias: str) -> str:
    """Return the name of a shard's slot on `default`."""
    sql = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"
    return slot_of(alias, rows(default, sql, [])[0][0])


def waiting(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def rows(connection: Any, sql: str, params: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def execute(connection: Any, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
