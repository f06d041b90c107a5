"""Wait for the transactions that are open, on however many databases, to commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper


def open_transactions() -> list[BaseDatabaseWrapper]:
    """Return this thread's connections that have something to commit.

    A transaction that `TestCase` holds around a test is never committed. It counts only where no other is
    open, and then once, so that `captureOnCommitCallbacks` sees the callback it would see in production.
    """
    begun = [c for c in connections.all(initialized_only=True) if _has_begun(c)]
    real = [c for c in begun if not _belongs_to_a_test(c)]
    return real or begun[:1]


def when_all_commit(transactions: list[BaseDatabaseWrapper], func: Callable[[], None]) -> None:
    """Call `func` after the last of `transactions` has committed; never, if one rolls back.

    Django forgets the callbacks of a savepoint that rolls back, so the count does not reach zero then.
    Raises TransactionManagementError where autocommit was switched off by hand.
    """
    left = len(transactions)

    def committed() -> None:
        nonlocal left
        left -= 1
        if not left:
            func()

    for transaction in transactions:
        transaction.on_commit(committed)


def _has_begun(connection: BaseDatabaseWrapper) -> bool:
    by_hand = connection.connection is not None and not connection.autocommit
    return connection.in_atomic_block or by_hand


def _belongs_to_a_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether only TestCase has begun; Django itself marks these blocks, for ``durable=True``."""
    blocks = connection.atomic_blocks
    return bool(blocks) and all(getattr(block, "_from_testcase", False) for block in blocks)
