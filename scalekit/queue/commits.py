"""The transactions that are open, on however many databases, and what waits for them to commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper


def open_transactions() -> list[BaseDatabaseWrapper]:
    """Return this thread's connections that have something to commit.

    A transaction that `TestCase` holds around a test is never committed. It counts only where no other is
    open, and then once, so that `captureOnCommitCallbacks` sees the callback it would see in production.
    """
    begun = [c for c in connections.all(initialized_only=True) if has_begun(c)]
    return [c for c in begun if not _belongs_to_a_test(c)] or begun[:1]


def real_transactions() -> list[BaseDatabaseWrapper]:
    """Return this thread's connections that have something to commit, tests' own transactions left out."""
    begun = (c for c in connections.all(initialized_only=True) if has_begun(c))
    return [c for c in begun if not _belongs_to_a_test(c)]


def when_all_commit(transactions: Sequence[BaseDatabaseWrapper], func: Callable[[], None]) -> None:
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


def has_begun(connection: BaseDatabaseWrapper) -> bool:
    return connection.in_atomic_block or is_by_hand(connection)


def is_by_hand(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether autocommit was switched off by hand: Django calls nobody then when that commits."""
    opened = connection.connection is not None and not connection.autocommit
    return opened and not connection.in_atomic_block


def is_around_a_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a `TestCase` holds the outermost transaction."""
    blocks = connection.atomic_blocks
    return bool(blocks) and getattr(blocks[0], "_from_testcase", False)


def _belongs_to_a_test(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether only TestCase has begun; Django itself marks these blocks, for ``durable=True``."""
    blocks = connection.atomic_blocks
    return bool(blocks) and all(getattr(block, "_from_testcase", False) for block in blocks)
