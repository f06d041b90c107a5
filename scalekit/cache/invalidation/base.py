"""The contract between reading and ending: names, whether they are dirty here, and what a load must see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet

from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction
from scalekit.cache.invalidation.facts import seeing
from scalekit.cache.invalidation.models import names_of
from scalekit.cache.invalidation.naming import on_server, prefix_of, tag_name
from scalekit.cache.invalidation.opened import open_connections
from scalekit.cache.invalidation.snapshots import sees_commits
from scalekit.cache.invalidation.transactions import end, is_dirty, note_write, transaction_of
from scalekit.cache.invalidation.watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Dependencies", "ainvalidate", "invalidate", "is_dirty", "seeing", "sees_commits"]


class Dependencies:
    """What the values of one function depend on; false if on nothing.

    `tags` are strings, `depends_on` models (or their labels), instances and (model, pk) pairs; either may be a
    function of the call's arguments that returns them. Raises `UncacheableFunction`.
    """

    def __init__(
        self,
        alias: str,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        depends_on: Iterable[Any] | Callable[..., Iterable[Any]] = (),
        *,
        function: str = "A cached function",
    ) -> None:
        self.alias, self.function = alias, function
        self.tags = tags if callable(tags) else _listed("tags", tags)
        self.depends_on = (
            depends_on
            if callable(depends_on) and not isinstance(depends_on, type)
            else _listed("depends_on", depends_on)
        )
        self._fixed: tuple[str, ...] | None = None
        self._made: tuple[str, tuple[str, ...]] = ("", ())
        if self:
            watched.add(self)

    def __bool__(self) -> bool:
        return bool(self.tags or self.depends_on)

    def names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        """Return the stamps' keys on the server of CACHES[alias], for one call of the function.

        Raises `UncacheableArgument`, and `UnwatchedModel` for a model whose writes not every process announces.
        """
        fixed = self._on_server()
        moving: list[str] = []
        if callable(self.tags):
            moving.extend(tag_name(tag) for tag in _items("tags", self.tags(*args, **kwargs)))
        if callable(self.depends_on):
            for item in _items("depends_on", self.depends_on(*args, **kwargs)):
                moving.extend(self._names_of(item))
        return fixed + on_server(self.alias, moving) if moving else fixed

    def _on_server(self) -> tuple[str, ...]:
        """Return the names that are the same for all calls; made once, where keys have one prefix."""
        prefix = prefix_of(self.alias)
        if prefix and self._made[0] == prefix:
            return self._made[1]
        if self._fixed is None:
            self._fixed = tuple(self._of_all_calls())
        made = on_server(self.alias, self._fixed)
        self._made = (prefix, made)
        return made

    def _of_all_calls(self) -> Iterable[str]:
        if not callable(self.tags):
            yield from map(tag_name, self.tags)
        if not callable(self.depends_on):
            for item in self.depends_on:
                yield from self._names_of(item)

    def _names_of(self, item: Any) -> tuple[str, ...]:
        model, names = names_of(item)
        watched.learn(model, self.function)
        return names


def _listed(option: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, (str, type, QuerySet)) or not hasattr(given, "__iter__"):
        msg = f"@cached({option}={given!r}): write a list, or a function of the arguments that returns one."
        raise UncacheableFunction(msg)
    return tuple(given)


def _items(option: str, returned: Any) -> Iterable[Any]:
    """Return what a function of the arguments has returned; one model or instance may stand alone."""
    if option == "depends_on" and isinstance(returned, (Model, type)):
        return (returned,)
    if isinstance(returned, (str, QuerySet)) or not hasattr(returned, "__iter__"):
        msg = f"The function given as {option}= returned {returned!r}: let it return a list."
        raise UncacheableArgument(msg)
    return returned  # type: ignore[no-any-return]  # it can be iterated


def invalidate(alias: str, names: Iterable[str]) -> None:
    """End `names` (entries' or stamps' keys on the server): at the end of a transaction, else at once.

    Also at a rollback: what made this necessary may have been no statement that could be seen, so that a load
    after it was kept. With several transactions open in this thread each of them ends the names, the last of them for good.
    """
    names = list(dict.fromkeys(names))
    if not names:
        return
    opened = open_connections()
    for connection in opened:
        note_write(connection)
        transaction_of(connection).hold_by_hand(alias, names)
    if not opened:
        end(alias, names)


async def ainvalidate(alias: str, names: Iterable[str]) -> None:
    """Do as `invalidate` does, in the thread in which this task's queries run."""
    await sync_to_async(invalidate)(alias, names)
