"""Say for a block or a function where its queries go.

    with using_primary(): ...            # reads from the primary, replicas or not
    @using_replica()                     # reads may be stale: reports, exports, commands
    async def report(): ...
    with using_shard("users", 7): ...    # queries that name no shard key go to 7's shard
    for alias in on_every_shard("users"): ...

Each lasts to the end of its block in this thread or task, nests, and may be used as a decorator. A
queryset that a decorated function returns unevaluated is bound to the database it would have used inside.
"""
# ruff: noqa: SLF001 - Django tells nobody whether a queryset was read

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import Self

    from scalekit.core.context import Binding
    from scalekit.db.sharding.base import ShardKey

F = TypeVar("F", bound=Callable[..., Any])

# Open blocks of this thread or task. They are kept here, not on the objects: one object may be
# entered by many threads, and again inside itself.
_open: ContextVar[tuple[Binding[Any], ...]] = ContextVar("scalekit_db_open", default=())


class Using:
    """A context manager and decorator that binds one fact."""

    def _binding(self) -> Binding[Any]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        binding = self._binding()
        binding.__enter__()
        _open.set((*_open.get(), binding))
        return self

    def __exit__(self, *exc_info: object) -> None:
        *outer, binding = _open.get()
        _open.set(tuple(outer))
        binding.__exit__()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            msg = f"{function.__qualname__} is a generator; write the with block inside it."
            raise TypeError(msg)
        wrapped = self._async if inspect.iscoroutinefunction(function) else self._sync
        return wraps(function)(wrapped(function))  # type: ignore[return-value]  # same signature

    def _sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return settled(function(*args, **kwargs))

        return inside

    def _async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return settled(await function(*args, **kwargs))

        return inside


class using_primary(Using):  # noqa: N801 - reads as a verb, like contextlib's
    """Read from the primary; from that of `alias` alone if one is given."""

    def __init__(self, alias: str | None = None) -> None:
        self.alias = _alias(alias)

    def _binding(self) -> Binding[Any]:
        from scalekit.db.facts import OVERRIDE, Override

        return OVERRIDE.bind(Override("primary", self.alias))


class using_replica(Using):  # noqa: N801 - reads as a verb, like contextlib's
    """Read from a replica, also outside requests and after a write: what is read may be stale.

    Inside a transaction on the primary, reads stay there.
    """

    def __init__(self, alias: str | None = None) -> None:
        self.alias = _alias(alias)

    def _binding(self) -> Binding[Any]:
        from scalekit.db.facts import OVERRIDE, Override

        return OVERRIDE.bind(Override("replica", self.alias))


class using_shard(Using):  # noqa: N801 - reads as a verb, like contextlib's
    """Send queries of `group` that name no shard to the shard of `key`.

    Raises `ShardGroupUnknown` for a group that neither the setting nor a model names, and `ShardLocked` for
    another key than the one that `ShardSelector` has given the request, unless `lock` is False.
    """

    def __init__(self, group: str, key: ShardKey, *, lock: bool = True) -> None:
        self.group, self.key, self.lock = group, key, lock

    def _binding(self) -> Binding[Any]:
        from scalekit.db.facts import SHARDS
        from scalekit.db.sharding.placing import binding_of
        from scalekit.db.sharding.selecting import check_lock

        _require_group(self.group)
        if self.lock:
            check_lock(self.group, self.key)
        return SHARDS.bind({**SHARDS.get(), self.group: binding_of(self.group, self.key)})


class on_every_shard(Using):  # noqa: N801 - reads as a verb, like contextlib's
    """Run once on each shard of `group`, in the order of the setting.

    Iterating gives each alias and binds its shard meanwhile; a decorated function runs once a shard and
    returns ``{alias: result}``. Without shards, or until they have the rows, there is one round, on the default
    database.
    """

    def __init__(self, group: str) -> None:
        self.group = group

    def __enter__(self) -> Self:
        msg = (
            f"A with block runs once. Write `for alias in on_every_shard({self.group!r}):`, or decorate a "
            "function with it."
        )
        raise TypeError(msg)

    def __iter__(self) -> Iterator[str]:
        from scalekit.db.sharding.placing import on_shard, shards_of

        _require_group(self.group)
        for alias in shards_of(self.group):
            with on_shard(self.group, alias):
                yield alias

    def _sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> dict[str, Any]:
            return {alias: settled(function(*args, **kwargs)) for alias in self}

        return inside

    def _async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def inside(*args: Any, **kwargs: Any) -> dict[str, Any]:
            return {alias: settled(await function(*args, **kwargs)) for alias in self}

        return inside


def settled(result: Any) -> Any:
    """Bind a queryset nobody has read yet to the database it would use here.

    Rails loads it (`connected_to`); binding needs no query, so it serves async functions too.
    """
    from django.db.models import QuerySet

    is_unread = isinstance(result, QuerySet) and result._result_cache is None
    return result.using(result.db) if is_unread else result


def _require_group(group: str) -> None:
    from scalekit.db.sharding.declarations import is_group
    from scalekit.db.sharding.refusals import group_unknown

    if not is_group(group):
        raise group_unknown(group)


def _alias(alias: Any) -> str | None:
    if callable(alias):
        msg = "Write the decorator with parentheses: @using_primary() or @using_replica()."
        raise TypeError(msg)
    return alias  # type: ignore[no-any-return]  # a string or None
