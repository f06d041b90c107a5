"""What a process could not tell a cache that was down, and what a cache may have forgotten in a failover."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_OWED = 10_000  # names; beyond, all that was stored so far is given up
_TOLD = 10_000
_REPLICATED = 30.0  # seconds after which a write is taken to be on every replica of the cache


class Debt:
    """One change of a name, with the facts that later loads must see."""

    __slots__ = ("at", "facts")

    def __init__(self, facts: str, at: float) -> None:
        self.facts, self.at = facts, at


class Debts:
    """Changes that have to be told, and those that were told of late, by name."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._owed: dict[str, Debt] = {}
        self._told: dict[str, Debt] = {}
        self._overflows = self._raised = (
            0  # how often too much was owed, and how much of that was told
        )
        self._dropped: Debt | None = (
            None  # the youngest that was told, and had to be forgotten too soon
        )

    @property
    def owes_all(self) -> bool:
        """Return whether all that was stored so far is to be given up."""
        return self._overflows > self._raised

    def __bool__(self) -> bool:
        return self.owes_all or bool(self._owed)

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, names: Iterable[str], facts: str) -> None:
        """Remember what could not be told."""
        with self._lock:
            debt = Debt(facts, self._clock())
            self._owed.update(dict.fromkeys(names, debt))
            if len(self._owed) > _OWED:
                self._owed.clear()
                self._overflows += 1

    def tell(self, names: Iterable[str], facts: str) -> None:
        """Remember what was told, for as long as a replica of the cache may not have it."""
        debt = Debt(facts, self._clock())
        with self._lock:
            for name in names:
                self._told.pop(name, None)  # to stand behind all older ones
                self._told[name] = debt
                self._forget_one()

    def tell_again(self) -> None:
        """Owe what was told of late: the server that heard it may not be the one that answers now."""
        with self._lock:
            told = {name: debt for name, debt in self._told.items() if not self._is_old(debt)}
            self._owed = {**told, **self._owed}
            self._told.clear()
            if self._dropped is not None and not self._is_old(self._dropped):
                self._overflows += 1  # nobody knows any more what else was told
            self._dropped = None

    def owed(self) -> Mapping[str, Debt]:
        """Return what has to be told now."""
        with self._lock:
            return dict(self._owed)

    def overflows(self) -> int:
        """Return how often too much was owed until now, for `raised`."""
        return self._overflows

    def raised(self, overflows: int) -> None:
        """Note that all was given up for what `overflows` had counted; what overflowed since is owed still."""
        with self._lock:
            self._raised = max(self._raised, overflows)

    def paid(self, debts: Mapping[str, Debt]) -> None:
        """Forget what was told, except what changed once more meanwhile."""
        with self._lock:
            for name, debt in debts.items():
                if self._owed.get(name) is debt:
                    del self._owed[name]

    def _forget_one(self) -> None:
        oldest = next(iter(self._told))
        if self._is_old(self._told[oldest]):
            del self._told[oldest]
        elif len(self._told) > _TOLD:
            self._dropped = self._told.pop(oldest)

    def _is_old(self, debt: Debt) -> bool:
        return debt.at < self._clock() - _REPLICATED
