"""One shard a transaction: a write to a second one is refused before it is sent.

Two transactions are not one: if the second fails, the first stays. Each connection to a shard remembers whether
its open transaction has written, from the statements that pass (as `writes` sees them; a COPY, or a function
that writes inside a SELECT, is not seen).
"""
# ruff: noqa: SLF001 - Django marks a TestCase's own blocks there

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from threading import local
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.signals import connection_created

from scalekit.db.cluster import current_cluster
from scalekit.db.exceptions import CrossShardTransaction
from scalekit.db.writes import is_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

LONGEST_KNOWN = 2000  # characters of a statement
IDLE = 0  # libpq's PQTRANS_IDLE

# Connections whose writes belong together, although each has a transaction of its own.
JOINED: ContextVar[tuple[Any, ...]] = ContextVar("scalekit_db_joined", default=())


@dataclass(frozen=True, slots=True)
class Written:
    """The first write of a transaction: which one, and the savepoints that would undo it."""

    transaction: str
    savepoints: frozenset[str]


class OneShard:
    """The execute wrapper of one connection to a shard."""

    def __init__(self) -> None:
        self._written: Written | None = None

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        connection = context["connection"]
        if self._written is not None:
            self._forget(connection, sql)
        writes = _writes(sql)
        if writes:
            refuse_second_shard(connection)
        result = execute(sql, params, many, context)
        if writes and self._written is None:
            self._remember(connection)
        return result

    def has_written(self, connection: Any) -> bool:
        """Return whether the transaction that is open now has written."""
        written = self._written
        if written is None or is_idle(connection):
            return False
        return written.transaction == _transaction(connection)

    def _remember(self, connection: Any) -> None:
        transaction = _transaction(connection)
        if transaction is not None:
            ids = frozenset(sid for sid in connection.savepoint_ids if sid)
            self._written = Written(transaction, ids)
            _writers.add(connection)

    def _forget(self, connection: Any, sql: Any) -> None:
        """Forget what another transaction wrote, or what this one is about to undo."""
        written = self._written
        if written is None:
            return
        undoes = connection.ops.savepoint_rollback_sql
        if not self.has_written(connection) or any(sql == undoes(s) for s in written.savepoints):
            self._written = None


def _writes(sql: Any) -> bool:
    """Tell at a tenth of the cost what was told before; long lists of values do not come again."""
    short = isinstance(sql, str) and len(sql) < LONGEST_KNOWN
    return _told(sql) if short else is_write(sql)


_told = lru_cache(maxsize=4096)(is_write)


@contextmanager
def joined(connections: tuple[Any, ...]) -> Iterator[None]:
    """Let the block write through all of these: they are committed together, or are copies of one row."""
    before = JOINED.get()
    JOINED.set(connections)
    try:
        yield
    finally:
        JOINED.set(before)


def guard_shards() -> None:
    """Watch every connection to a shard that is opened from now on."""
    connection_created.connect(_guard, dispatch_uid="scalekit.db.one_shard")


def _guard(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.alias not in current_cluster().shard_aliases:
        return
    if guard_of(connection) is None:
        # First, since Django's `execute_wrapper()` removes the last one when its block ends.
        connection.execute_wrappers.insert(0, OneShard())


def guard_of(connection: Any) -> OneShard | None:
    """Return the guard of a connection, None if it leads to no shard."""
    return next((w for w in connection.execute_wrappers if isinstance(w, OneShard)), None)


def refuse_second_shard(connection: Any) -> None:
    """Raise `CrossShardTransaction` if this thread has an open transaction that wrote to another shard.

    Call it too before another thread writes on behalf of this one.
    """
    for other in _writers.connections:
        guard = None if other is connection else guard_of(other)
        if guard is None or not guard.has_written(other) or _is_apart(other):
            continue
        group = _group_of_both(other.alias, connection.alias)
        joined = JOINED.get()
        if group is not None and not (connection in joined and other in joined):
            raise _refusal(group, other.alias, connection.alias)


class _Writers(local):
    """The connections of a thread whose open transaction had written when it was last looked at."""

    def __init__(self) -> None:
        self.connections: list[Any] = []

    def add(self, connection: Any) -> None:
        """Add a connection; those whose transactions have ended go, so that no more are kept than are open."""
        guards = ((c, guard_of(c)) for c in self.connections if c is not connection)
        self.connections = [c for c, guard in guards if guard is not None and guard.has_written(c)]
        self.connections.append(connection)


_writers = _Writers()


def _is_apart(connection: Any) -> bool:
    """Return whether a connection is one of the library's own, which commits for itself."""
    return connections[connection.alias] is not connection


def _group_of_both(one: str, other: str) -> str | None:
    """Return the first group of which both are shards; None for one database, which may have two connections."""
    groups: dict[str, set[str]] = {}
    for shard in current_cluster().shards:
        groups.setdefault(shard.group, set()).add(shard.primary.alias)
    both = {one, other}
    return next((g for g, a in groups.items() if one != other and both <= a), None)


def _transaction(connection: Any) -> str | None:
    """Return the name of the open transaction, None where each statement is its own.

    The transaction that a TestCase wraps around each test is none; inside it, that of the test is a savepoint.
    """
    if not connection.in_atomic_block:
        return None if connection.autocommit else "manual"
    of_tests = sum(block._from_testcase for block in connection.atomic_blocks)
    if of_tests == len(connection.atomic_blocks):
        return None
    return str(connection.savepoint_ids[of_tests - 1]) if of_tests else "outermost"


def is_idle(connection: Any) -> bool:
    """Return whether the server has no transaction open; False where its driver does not tell."""
    raw = connection.connection
    if raw is None:
        return True
    if connection.vendor == "postgresql":
        return bool(raw.info.transaction_status == IDLE)
    return not getattr(raw, "in_transaction", True)


def _refusal(group: str, first: str, second: str) -> CrossShardTransaction:
    msg = (
        f"The open transaction has written to {first}; a write to {second} would be committed apart from it, so one "
        "could stay without the other. End the first block before the second begins; or, if both must happen "
        f"or neither, write them inside two_phase({group!r})."
    )
    return CrossShardTransaction(msg)
