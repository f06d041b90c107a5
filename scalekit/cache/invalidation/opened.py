"""Which connections of this thread are inside a transaction, and whether it is one of a test's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_INSIDE = {2, 3}  # libpq's PQTRANS_INTRANS and PQTRANS_INERROR


def is_open(connection: Any) -> bool:
    """Return whether what is executed now commits later: in `atomic()`, with autocommit off, after a BEGIN."""
    return connection.in_atomic_block or is_open_unseen(connection)


def is_open_unseen(connection: Any) -> bool:
    """Return whether a transaction is open of whose end nothing tells.

    Of a BEGIN that was executed as a statement the drivers of PostgreSQL and SQLite know without asking.
    """
    driver = connection.connection
    if connection.in_atomic_block or driver is None:
        return False
    if not connection.autocommit:
        return True
    if connection.vendor == "postgresql":
        return bool(driver.info.transaction_status in _INSIDE)
    return bool(connection.vendor == "sqlite" and driver.in_transaction)


def open_connections() -> list[BaseDatabaseWrapper]:
    """Return this thread's connections that have something to commit.

    A transaction that `TestCase` holds around a test counts only where no other is open, and then once.
    """
    begun = [c for c in connections.all(initialized_only=True) if is_open(c)]
    real = [c for c in begun if not is_of_test(c)]
    return real or begun[:1]


def is_in_test(connection: Any) -> bool:
    """Return whether a `TestCase` has begun the transaction that is open."""
    return bool(connection.atomic_blocks[0]._from_testcase)  # noqa: SLF001 - only Django's own mark tells


def is_of_test(connection: Any) -> bool:
    """Return whether only `TestCase` has begun; Django itself marks these blocks."""
    blocks = connection.atomic_blocks
    return bool(blocks) and all(block._from_testcase for block in blocks)  # noqa: SLF001 - only Django's own mark tells


def own_block(connection: Any) -> str | None:
    """Return the savepoint of the outermost block that the tested code has begun; None outside of all."""
    own = [block for block in connection.atomic_blocks if not block._from_testcase]  # noqa: SLF001 - only Django's own mark tells
    return connection.savepoint_ids[-len(own)] if own else None
