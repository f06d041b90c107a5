"""What `cached` makes of a function: something that is called as before, and can be told to forget."""

from __future__ import annotations

import copy
import inspect
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from weakref import WeakSet

from asgiref.sync import markcoroutinefunction
from django.db import connections

from scalekit.cache.batching import abatch, batch
from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction
from scalekit.cache.invalidation.base import Dependencies
from scalekit.cache.keys import KeyMaker, path_of
from scalekit.cache.loop_reading import LoopReading
from scalekit.cache.reading import Question
from scalekit.cache.thread_reading import ThreadReading
from scalekit.cache.values import MISSING, Missing

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from scalekit.cache.decorators import cached
    from scalekit.cache.store import Store

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")

cached_functions: WeakSet[Cached] = WeakSet()


class Cached:
    """What all kinds share: the key of a call, what it depends on, and being a method."""

    def __init__(self, function: Any, options: cached) -> None:
        kind = type(function)
        self._descriptor = kind if kind in (classmethod, staticmethod, property) else None
        self._function = _plain(function)
        update_wrapper(self, self._function)  # type: ignore[arg-type]  # callable in all subclasses
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        path = f"{self._function.__module__}:{self._function.__qualname__}"
        if options.key is None:
            _refuse_hidden_inputs(name, self._function)
        signature = inspect.signature(self._function)
        self._options, self._policy = options, options.policy(name, path)
        self._keys = KeyMaker(name, options.version, signature, options.key, home_of)
        depends = Dependencies(options.alias, options.tags, options.depends_on, function=name)
        self._depends = depends or None
        # What most functions are: nothing of a class stands in their keys.
        self._is_simple = self._descriptor is not classmethod and not options.names_self
        self._bound: tuple[Any, ...] = ()
        cached_functions.add(self)

    def __repr__(self) -> str:
        return f"<cached {self._policy.function}>"

    @property
    def alias(self) -> str:
        """The entry of CACHES that keeps the values."""
        return self._policy.alias

    def _bind(self, instance: object, owner: type | None) -> Any:
        first = owner if self._descriptor is classmethod else instance
        if self._descriptor is staticmethod or first is None:
            return self
        method = copy.copy(self)
        method._bound = (first,)  # noqa: SLF001 - of our own class
        return method

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self._is_simple:
            return self._keys.key(self._bound + args, kwargs)
        return self._keys.key(*self._identified(args, kwargs))

    def _identified(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments, with what a method belongs to as it stands in a key."""
        if self._keys.chosen is None:
            if self._descriptor is classmethod and self._bound:
                return (path_of(self._bound[0]), *args), kwargs
            if self._options.names_self:
                own, *others = self._bound + args
                return (_identity(own, self._policy.function), *others), kwargs
        return self._bound + args, kwargs

    def _here(self, store: Store, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Return what a call is called in this process."""
        if self._is_simple and store.is_plainly_keyed:
            return self._keys.local(self._bound + args if self._bound else args, kwargs)
        identified = self._identified(args, kwargs)
        if store.is_plainly_keyed:
            return self._keys.local(*identified)
        # Not `self`, which a method is another of in every call.
        return self._keys, store.made_key(self._keys.key(*identified))

    def _question(
        self,
        store: Store,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        here: Hashable | None = None,
    ) -> Question:
        key = store.made_key(self._key(args, kwargs))
        depends = self._depends
        names = () if depends is None else depends.names(self._bound + args, kwargs)
        return Question(key, names, here)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> partial[Any]:
        return partial(self._function, *self._bound, *args, **kwargs)


class CachedFunction(Cached, Generic[P, T]):
    """A cached function; call it as before."""

    def __init__(self, function: Any, options: cached) -> None:
        super().__init__(function, options)
        self._reading = ThreadReading(self._policy)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        reading = self._reading
        store = reading.store
        here: Hashable = None
        tier = store.local
        if tier is not None:
            here = self._here(store, args, kwargs)
            value = tier.get(here)
            if value is not MISSING:
                reading.announce("hit")
                return value  # type: ignore[no-any-return]  # the store knows no types
        question = self._question(store, args, kwargs, here)
        return reading.get(question, self._call(args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], T], instance: S, owner: type | None = None
    ) -> CachedFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._bind(instance, owner)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Give up the value of this call: in a transaction on its commit, else at once."""
        store = self._reading.store
        self._reading.invalidate((store.made_key(self._key(args, kwargs)),))

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function, store and return its value, whatever is stored now."""
        question = self._question(self._reading.store, args, kwargs)
        return self._reading.refresh(question, self._call(args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    def renew(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Run the function if the stored value is due to be loaded again, and nobody else does."""
        question = self._question(self._reading.store, args, kwargs)
        self._reading.renew(question, self._call(args, kwargs))

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return the stored value, or `MISSING`; never run the function."""
        return self._reading.peek(self._question(self._reading.store, args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    def many(self, arguments: Iterable[Any]) -> list[T]:
        """Return ``[function(x) for x in arguments]``, reading all that is stored in one round trip.

        What is missing is loaded by the function, one by one, or all at once by the decorator's `many`.
        """
        arguments = list(arguments)
        return batch(self._reading, arguments, self._question, self._call, self._options.many)


class CachedProperty(CachedFunction[P, T]):
    """A cached property; its `invalidate`, `refresh` and `peek` are reached through the class."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._bind(instance, owner)()


class CachedCoroutineFunction(Cached, Generic[P, T]):
    """A cached coroutine function; call it as before. Its methods are awaited too."""

    def __init__(self, function: Any, options: cached) -> None:
        super().__init__(function, options)
        self._reading = LoopReading(self._policy)
        markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        # As in CachedFunction, and not shared with it: it is the hot path, where every call counts.
        reading = self._reading
        store = reading.store
        here: Hashable = None
        tier = store.local
        if tier is not None:
            here = self._here(store, args, kwargs)
            value = tier.get(here)
            if value is not MISSING:
                reading.announce("hit")
                return value  # type: ignore[no-any-return]  # the store knows no types
        question = self._question(store, args, kwargs, here)
        return await reading.get(question, self._call(args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    @overload
    def __get__(
        self, instance: None, owner: type | None = None
    ) -> CachedCoroutineFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedCoroutineFunction[Concatenate[S, Q], T],
        instance: S,
        owner: type | None = None,
    ) -> CachedCoroutineFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._bind(instance, owner)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Give up the value of this call: in a transaction on its commit, else at once."""
        store = self._reading.store
        await self._reading.invalidate((store.made_key(self._key(args, kwargs)),))

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function, store and return its value, whatever is stored now."""
        question = self._question(self._reading.store, args, kwargs)
        return await self._reading.refresh(question, self._call(args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    async def renew(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Run the function if the stored value is due to be loaded again, and nobody else does."""
        question = self._question(self._reading.store, args, kwargs)
        await self._reading.renew(question, self._call(args, kwargs))

    async def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return the stored value, or `MISSING`; never run the function."""
        return await self._reading.peek(self._question(self._reading.store, args, kwargs))  # type: ignore[no-any-return]  # the cache knows no types

    async def many(self, arguments: Iterable[Any]) -> list[T]:
        """Return ``[await function(x) for x in arguments]``, with one round trip for all that is stored."""
        arguments = list(arguments)
        many = self._options.many
        return await abatch(self._reading, arguments, self._question, self._call, many)


def home_of(alias: str) -> str:
    """Return the alias of the primary, if `alias` is a replica of one."""
    settings = connections.settings.get(alias, {})
    return str(settings.get("SCALEKIT", {}).get("REPLICA_OF") or alias)


def _plain(function: Any) -> Any:
    if isinstance(function, property):
        return function.fget
    return function.__func__ if isinstance(function, (classmethod, staticmethod)) else function


def _identity(instance: Any, function: str) -> Any:
    """Return what an instance is called in a key: by its class and what that says, or as a model's row."""
    if hasattr(instance, "_meta") and hasattr(instance, "_state"):
        return instance
    own = getattr(type(instance), "__cache_key__", None)
    if own is None:
        msg = (
            f"{function}: a {type(instance).__name__} does not say what it is called in a cache key. Define"
            " __cache_key__(self) in its class, returning what its values depend on, or write"
            " @cached_method(key=lambda self, ...: ...)."
        )
        raise UncacheableArgument(msg)
    return path_of(type(instance)), own(instance)


def _refuse_hidden_inputs(name: str, function: Any) -> None:
    function = inspect.unwrap(function)
    if inspect.ismethod(function):
        msg = (
            f"{name} is bound to its object, which its cache key would not name. Write @cached in the class,"
            " or say what the value depends on: @cached(key=...)."
        )
        raise UncacheableFunction(msg)
    code = getattr(function, "__code__", None)
    captured = set(code.co_freevars) - {"__class__"} if code else set()
    if captured:
        msg = (
            f"{name} uses {', '.join(sorted(captured))} of the function around it, which its cache key"
            " would not name. Pass them as arguments, or say what the value depends on: @cached(key=...)."
        )
        raise UncacheableFunction(msg)
    if name.endswith("<lambda>"):
        raise UncacheableFunction(f"{name} has no name of its own: write it with def.")
