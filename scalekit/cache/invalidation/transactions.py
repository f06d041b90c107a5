"""Hold the names that a transaction writes, and release them when it ends: once, in one round trip.

From the first write of a name until the transaction ends nothing that depends on it is read from the cache or
kept there, so that a writer killed between COMMIT and release leaves nothing stale: its hold ends by itself, as a
change. A rollback, also one to a savepoint, ends the hold and nothing else; a name that was ended by hand it ends:
what was written under it may have been seen by no statement, and so have been kept.
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from django.db import connections

from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_NAMES_ENDED
from scalekit.cache.invalidation.facts import facts_of_write, replica_seconds
from scalekit.cache.invalidation.opened import is_in_test, own_block
from scalekit.cache.store import store_of
from scalekit.core.context import current_unit, unit_of_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from scalekit.core.context import Unit

Names = dict[str, list[str]]  # keys on the server, by alias of the cache
_MANY = 300  # names; of a transaction that writes more, rows are not held one by one any longer


class Transaction:
    """The names that one transaction of one connection has written, in parts that may roll back alone."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.holder = token_hex(8)
        self.open = True
        self.is_of_test = False
        self.names: set[str] = set()
        unit = current_unit()
        self.unit: Unit = {} if unit is None else unit
        self._connection = ref(connection)
        self._pid = os.getpid()
        self._block: str | None = None
        self._is_new_block = False
        self._by_hand: set[str] = set()
        self._parts: list[_Part] = []

    @property
    def has_written(self) -> bool:
        """Return whether anything was written that is not rolled back yet."""
        return self.open and bool(self._parts)

    @property
    def is_large(self) -> bool:
        return len(self.names) > _MANY

    def hold(self, names: Mapping[str, Iterable[str]]) -> None:
        """Hold those of `names` that are not held yet, in one round trip to each cache."""
        for alias, fresh in self._noted(names).items():
            store_of(alias).hold(fresh, settings.HOLD_SECONDS, holder=self.holder)

    def hold_by_hand(self, alias: str, names: list[str]) -> None:
        """Hold names that end with a rollback, too."""
        self._by_hand.update(names)
        self.hold({alias: names})

    def note(self) -> None:
        """Note that something is written, whether it ends names or not."""
        self._part()

    def add(self, names: Mapping[str, Iterable[str]]) -> None:
        """End `names` with the others, without holding them: rows that nobody could have read before."""
        self._noted(names)

    def end(self, *, changed: bool) -> None:
        """Release all that is held; what depends on it is void if anything was `changed`."""
        if not self.open:
            return
        self.open = False
        parts, self._parts = self._parts, []
        both: Names = {}
        for part in parts:
            part.ended = True
            for alias, names in part.names.items():
                both.setdefault(alias, []).extend(names)
        self._release(both, changed=changed)
        self.names, self._by_hand = set(), set()

    def rolled_back(self, part: _Part) -> None:
        """End the holds of a part that Django has forgotten."""
        part.ended = True
        is_of_parent = os.getpid() != self._pid  # a fork forgets what its parent yet commits
        if is_of_parent or part not in self._parts:
            return
        self._parts.remove(part)
        self.names.difference_update(*part.names.values())
        self.open = bool(self._parts)
        by_hand = {
            alias: [n for n in some if n in self._by_hand] for alias, some in part.names.items()
        }
        others = {
            alias: [n for n in some if n not in self._by_hand] for alias, some in part.names.items()
        }
        self._release(others, changed=self._may_have_committed())
        self._release(by_hand, changed=True)

    def _noted(self, names: Mapping[str, Iterable[str]]) -> Names:
        fresh = {alias: [n for n in some if n not in self.names] for alias, some in names.items()}
        fresh = {alias: list(dict.fromkeys(some)) for alias, some in fresh.items() if some}
        if fresh or self._is_new_block:
            part = self._part()
            for alias, some in fresh.items():
                part.names.setdefault(alias, []).extend(some)
                self.names.update(some)
        return fresh

    def _part(self) -> _Part:
        """Return the names written under the savepoints that are open now."""
        connection: Any = self._connection()
        savepoints = tuple(connection.savepoint_ids)
        is_known = self._parts and self._parts[-1].savepoints == savepoints
        if is_known and not self._is_new_block:
            return self._parts[-1]
        self._is_new_block = False
        part = _Part(savepoints)
        self._parts.append(part)
        if connection.in_atomic_block:
            connection.on_commit(_Hook(self, part), robust=True)
            if not is_in_test(connection):  # captureOnCommitCallbacks counts on the order
                # Before all others: one may read what was written here, and one that raises ends the row.
                connection.run_on_commit.insert(0, connection.run_on_commit.pop())
        return part

    def begin_block(self, connection: Any) -> None:
        """Let a `TestCase`, which never commits, capture a hook of each block of the code that it tests."""
        savepoint = own_block(connection)
        if savepoint is None or savepoint != self._block:
            self._block, self._is_new_block = savepoint, True

    def _release(self, names: Names, *, changed: bool) -> None:
        with unit_of_work(self.unit):
            for alias, some in names.items():
                if not some:
                    continue
                if changed:
                    end(alias, some, holder=self.holder)
                else:
                    store_of(alias).release(some, holder=self.holder, changed=False)

    def _may_have_committed(self) -> bool:
        """Return whether the connection was lost, maybe during COMMIT, or its hooks were not run after it."""
        connection: Any = self._connection()
        return connection is None or (
            connection.errors_occurred or connection.run_commit_hooks_on_set_autocommit_on
        )


class _Part:
    __slots__ = ("ended", "names", "savepoints")

    def __init__(self, savepoints: tuple[str, ...]) -> None:
        self.savepoints = savepoints
        self.names: Names = {}
        self.ended = False


class _Hook:
    """What Django calls on commit, and forgets on rollback: nothing else tells of a rollback."""

    def __init__(self, transaction: Transaction, part: _Part) -> None:
        self._transaction, self._part = transaction, part

    def __call__(self) -> None:
        if not self._part.ended:
            self._transaction.end(changed=True)

    def __del__(self) -> None:
        if not self._part.ended and not sys.is_finalizing():
            self._transaction.rolled_back(self._part)


def end(alias: str, names: list[str], *, holder: str | None = None) -> None:
    """Make void what depends on `names`; later loads see at least what this unit of work has written."""
    store, facts = store_of(alias), facts_of_write()
    seconds = 0 if facts else replica_seconds()
    if seconds:  # nobody can tell which replicas show the write: keep nothing until all must
        store.hold(names, seconds, holder=token_hex(8))
    if holder is None:
        store.invalidate(names, facts=facts)
    else:
        store.release(names, holder=holder, changed=True, facts=facts)
    CACHE_NAMES_ENDED.emit(alias=alias, names=len(names))


_open: WeakKeyDictionary[BaseDatabaseWrapper, Transaction] = WeakKeyDictionary()
_written_blocks: WeakKeyDictionary[BaseDatabaseWrapper, str | None] = WeakKeyDictionary()
_writing: ContextVar[tuple[Transaction, ...]] = ContextVar("scalekit_cache_writing", default=())


def transaction_of(connection: BaseDatabaseWrapper) -> Transaction:
    """Return what is known of the open transaction of `connection`; outside `atomic()` always a new one.

    With autocommit off nothing tells of the commit: each hold ends by itself, as a change.
    """
    if not connection.in_atomic_block:
        return Transaction(connection)
    known = _open.get(connection)
    if known is None or not known.open:
        known = _open[connection] = Transaction(connection)
        _writing.set((*(other for other in _writing.get() if other.open), known))
    known.is_of_test = is_in_test(connection)
    if known.is_of_test:
        known.begin_block(connection)
    return known


def note_write(connection: BaseDatabaseWrapper) -> None:
    """Note that the open transaction of `connection` writes, so that nothing it loads is kept.

    A test's own transaction holds what the test has made ready; there only the tested code's blocks count.
    """
    if not connection.in_atomic_block:
        return
    if is_in_test(connection):
        _written_blocks[connection] = own_block(connection)
    else:
        transaction_of(connection).note()


def has_written() -> bool:
    """Return whether an open transaction of this thread or task has written anything."""
    if any(known.has_written and not known.is_of_test for known in _writing.get()):
        return True
    return any(
        _written_blocks.get(connection, None) is not None
        and _written_blocks[connection] == own_block(connection)
        for connection in connections.all(initialized_only=True)
    )


def is_dirty(names: Iterable[str]) -> bool:
    """Return whether an open transaction of this thread or task has written one of `names`."""
    for other in _writing.get():  # a loop and no any(): this is asked at every read
        if other.names and other.open and not other.names.isdisjoint(names):
            return True
    return False
