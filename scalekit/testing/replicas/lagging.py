"""Replicas that stand still: they show the database as it was when the block began."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections

from .exceptions import ReplicasUntestable
from .stand_in import Replica, read_only
from .visible import in_place_of, replicas_named, visible_replicas

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"
_WAL_TO_DELETE = b"\x01\x01"  # bytes 18 and 19 of the file: a copy in memory has no log beside it


@contextmanager
def lagging_replicas(*aliases: str) -> Iterator[Counter[str]]:
    """Be `visible_replicas()` whose replicas (all, or `aliases`) show nothing written inside the block.

    On SQLite they are copies in memory. On PostgreSQL they are connections of their own with an old
    snapshot, which sees what is committed: there the test must be a `TransactionTestCase`, or have
    ``django_db(transaction=True)``. Raises `ReplicasUntestable` otherwise.
    """
    replicas = replicas_named(aliases)
    with visible_replicas() as reads, ExitStack() as stack:
        for alias, primary in replicas.items():
            connection = stack.enter_context(_standing_still(alias, connections[primary]))
            stack.enter_context(in_place_of(alias, connection, reads))
        yield reads


@contextmanager
def _standing_still(alias: str, primary: Any) -> Iterator[Any]:
    if primary.vendor not in _OPEN:
        raise ReplicasUntestable(
            f"Lag can be simulated on SQLite and PostgreSQL, not on {primary.vendor}."
        )
    primary.ensure_connection()
    replica = read_only(alias, primary, Replica)
    raw = _OPEN[primary.vendor](replica, primary)
    try:
        yield replica
    finally:
        raw.close()
        replica.connection = None


def _copy(replica: Any, primary: Any) -> Any:
    """Copy a SQLite database with what the test has not committed."""
    replica.settings_dict["NAME"] = ":memory:"
    replica.connect()
    image = bytearray(primary.connection.serialize())
    image[18:20] = _WAL_TO_DELETE
    replica.connection.deserialize(bytes(image))
    return replica.connection


def _snapshot(replica: Any, primary: Any) -> Any:
    """Open a snapshot of a PostgreSQL database, which sees commits alone."""
    if primary.in_atomic_block:
        raise ReplicasUntestable(
            "No replica of PostgreSQL can show the open transaction of a TestCase as it was. "
            "Use TransactionTestCase, or @pytest.mark.django_db(transaction=True)."
        )
    replica.connect()
    with replica.connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT)
    replica.in_atomic_block = True  # so that atomic() takes a savepoint, and nothing reconnects
    return replica.connection


_OPEN = {"sqlite": _copy, "postgresql": _snapshot}
