"""The connections on which values are taken and looked for."""
# ruff: noqa: SLF001 - Django marks a TestCase's own blocks there

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from scalekit.db.sharding.lookup_index.digests import lock_number
from scalekit.db.sharding.mapping.connecting import own_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scalekit.db.sharding.lookup_index.entries import Entry

HOLD = Path(__file__).with_name("hold.sql").read_text("utf-8")
BUSY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected
MOST = 500  # locks of one transaction; the server has some 6400 for all
PATIENCE_MS = 5000  # for another's transaction to end; two that wait for each other on two servers give up then


@contextmanager
def index_connection() -> Iterator[Any]:
    """Give a connection to the index on which each statement is committed at once, whatever block this is in.

    On SQLite, whose one writer would wait for itself, it is the block's after all, and rolled back with it.
    """
    mine = connections[DEFAULT_DB_ALIAS]
    if mine.vendor == "sqlite" or not _is_in_own_block(mine):
        yield mine
        return
    with own_connection() as connection:
        yield connection


@contextmanager
def holding_apart(alias: str, entry: Entry) -> Iterator[Any]:
    """Give a connection to a shard on which nobody else has a value: what is read there is committed.

    Raises `OperationalError` if another transaction has it for too long.
    """
    mine = connections[alias]
    if mine.in_atomic_block and not _is_in_own_block(mine):
        yield mine  # in a TestCase, whose rows nobody else sees
        return
    with own_connection(alias) as connection, connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # By statement, so that what is read next includes what was committed while this one waited.
            cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            limit_wait(connection)
            hold(connection, [entry])
        else:
            cursor.execute("BEGIN IMMEDIATE")
        yield connection
        cursor.execute("ROLLBACK")


def hold(connection: Any, entries: Sequence[Entry], table: str = "") -> None:
    """Have nobody else take or give away these values on this shard, until its transaction ends.

    In the order of their numbers, so that two who want the same values do not wait for each other. From a
    transaction's `MOST`-th value on, all of the model's are held. SQLite has one lock for all, taken by a statement on `table` that would
    change a row if there were one.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            numbers = sorted(lock_number(e.model, e.field, e.digest) for e in entries)
            whole = lock_number(entries[0].model)
            cursor.execute(HOLD, {"whole": whole, "numbers": numbers, "most": MOST})
        else:
            quoted = connection.ops.quote_name(table)
            cursor.execute(f"DELETE FROM {quoted} WHERE 1 = 0")  # noqa: S608 - a model's table


def limit_wait(connection: Any) -> None:
    """Let this transaction wait for a lock for `PATIENCE_MS` at most."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE_MS}")


def is_busy(error: Exception) -> bool:
    """Return whether a lock was waited for in vain; what else fails is no answer."""
    return getattr(error.__cause__, "sqlstate", None) in BUSY or "is locked" in str(error)


def _is_in_own_block(connection: Any) -> bool:
    """Return whether a block of the caller's is open, other than that in which a TestCase wraps each test."""
    if not connection.in_atomic_block:
        return connection.connection is not None and not connection.autocommit
    return not all(block._from_testcase for block in connection.atomic_blocks)
