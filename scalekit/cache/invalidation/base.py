"""The contract between reading and ending: names, whether they are dirty here, and what a load must see."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager


class Dependencies:
    """What the values of one function depend on.

    `tags` are strings, `depends_on` models, instances and (model, pk) pairs; either may be a function of
    the call's arguments that returns them. False if there are none.
    """

    def __init__(
        self,
        alias: str,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        depends_on: Iterable[Any] | Callable[..., Iterable[Any]] = (),
    ) -> None:
        self.alias, self.tags, self.depends_on = alias, tags, depends_on

    def __bool__(self) -> bool:
        return bool(self.tags or self.depends_on)

    def names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        """Return the stamps' keys on the server of CACHES[alias], for one call of the function."""
        raise NotImplementedError


def is_dirty(names: Iterable[str]) -> bool:
    """Return whether an open transaction of this thread or task has written what `names` stand for.

    Then the cache is neither read nor filled: only this transaction sees its rows.
    """
    return False


def sees_commits() -> bool:
    """Return whether a load here and now sees what is committed now; asked once a miss.

    False in a transaction that reads from a snapshot, which may be older than the stamps: what is loaded
    there may not be kept.
    """
    return True


def seeing(facts: Iterable[Mapping[str, Any]]) -> AbstractContextManager[None]:
    """Return a context manager in which a load reads no database behind the facts of its stamps."""
    return nullcontext()


def invalidate(alias: str, names: Iterable[str]) -> None:
    """End `names` (entries' or stamps' keys on the server): on commit in a transaction, else at once."""


async def ainvalidate(alias: str, names: Iterable[str]) -> None:
    """Do as `invalidate` does."""
