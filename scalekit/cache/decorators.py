"""`cached`: a function whose values are kept in one of Django's caches."""

from __future__ import annotations

import copy
import inspect
from datetime import timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from weakref import WeakSet

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import connections

from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.keys import KeyMaker, path_of
from scalekit.cache.reading import LoopReading, Policy, ThreadReading
from scalekit.cache.values import MISSING, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")

cached_functions: WeakSet[_Cached] = WeakSet()


class cached:  # noqa: N801 - used as a decorator
    """Keep what a function returns for `ttl` seconds (or a timedelta; None: without end).

    Of all calls of one process that miss at once, one runs the function. None, 0 and "" are values;
    errors are not kept. Each value ends up to `jitter` (a fraction) of its `ttl` early. Raise `version`
    when the meaning of the values changes. `key` receives the arguments and returns what the value
    depends on; without it that is every argument. `alias` names the entry of CACHES. While the cache
    is down the function simply runs.

    Works on functions, coroutine functions, class and static methods (written above ``@classmethod``),
    and methods of saved model instances; other methods need `key`.
    """

    def __init__(
        self,
        ttl: float | timedelta | None = 300,
        *,
        key: Callable[..., object] | None = None,
        version: int = 1,
        alias: str = "default",
        jitter: float = 0.1,
    ) -> None:
        self.ttl = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        self.key, self.version, self.alias, self.jitter = key, version, alias, jitter
        if callable(ttl):
            raise UncacheableFunction("Write @cached(), with parentheses.")
        if self.ttl is not None and self.ttl < 1:
            raise UncacheableFunction(f"@cached(ttl={ttl!r}): write 1 second or more, or None.")
        if not 0 <= jitter <= 1:
            raise UncacheableFunction(f"@cached(jitter={jitter!r}): write a fraction, 0 to 1.")

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is a function, too
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> CachedCoroutineFunction[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T]) -> CachedFunction[P, T]: ...
    def __call__(self, function: Any) -> Any:
        plain = getattr(function, "__func__", function)  # of a class or static method
        kind = CachedCoroutineFunction if iscoroutinefunction(plain) else CachedFunction
        return kind(function, self)


class _Cached:
    """What the two kinds share: the key of a call, and being a method."""

    def __init__(self, function: Any, options: cached) -> None:
        self._descriptor = type(function) if type(function) in (classmethod, staticmethod) else None
        self._function = function.__func__ if self._descriptor else function
        update_wrapper(self, self._function)  # type: ignore[arg-type]  # callable in both subclasses
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        if options.key is None:
            _refuse_hidden_inputs(name, self._function)
        signature = inspect.signature(self._function)
        self._policy = Policy(name, options.alias, options.ttl, options.jitter)
        self._keys = KeyMaker(name, options.version, signature, options.key, home_of)
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
        bound = self._bound
        if bound and self._descriptor is classmethod and self._keys.chosen is None:
            bound = (path_of(bound[0]),)
        return self._keys.key(bound + args, kwargs)


class CachedFunction(_Cached, Generic[P, T]):
    """A cached function; call it as before."""

    def __init__(self, function: Any, options: cached) -> None:
        super().__init__(function, options)
        self._reading = ThreadReading(self._policy)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._reading.get(  # type: ignore[no-any-return]  # the store knows no types
            self._key(args, kwargs), lambda: self._function(*self._bound, *args, **kwargs)
        )

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], T], instance: S, owner: type | None = None
    ) -> CachedFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._bind(instance, owner)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Give up the value of this call; a load running in this process will not store its own."""
        self._reading.invalidate(self._key(args, kwargs))

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function, store and return its value, whatever is stored now."""
        return self._reading.refresh(  # type: ignore[no-any-return]
            self._key(args, kwargs), lambda: self._function(*self._bound, *args, **kwargs)
        )

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return the stored value, or `MISSING`; never run the function."""
        return self._reading.peek(self._key(args, kwargs))  # type: ignore[no-any-return]

    def many(self, arguments: Iterable[Any]) -> list[T]:
        """Return ``[function(x) for x in arguments]``, reading all that is stored in one round trip."""
        arguments = list(arguments)
        keys = [self._key((argument,), {}) for argument in arguments]
        values = self._reading.read_many(keys)
        for position, argument in enumerate(arguments):
            if values[position] is MISSING:
                values[position] = self(argument)  # type: ignore[call-arg]  # one argument, by contract
        return values


class CachedCoroutineFunction(_Cached, Generic[P, T]):
    """A cached coroutine function; call it as before. Its methods are awaited too."""

    def __init__(self, function: Any, options: cached) -> None:
        super().__init__(function, options)
        self._reading = LoopReading(self._policy)
        markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._reading.get(  # type: ignore[no-any-return]
            self._key(args, kwargs), lambda: self._function(*self._bound, *args, **kwargs)
        )

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
        """Give up the value of this call; a load running in this process will not store its own."""
        await self._reading.invalidate(self._key(args, kwargs))

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function, store and return its value, whatever is stored now."""
        return await self._reading.refresh(  # type: ignore[no-any-return]
            self._key(args, kwargs), lambda: self._function(*self._bound, *args, **kwargs)
        )

    async def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return the stored value, or `MISSING`; never run the function."""
        return await sync_to_async(self._reading.peek)(self._key(args, kwargs))  # type: ignore[no-any-return]

    async def many(self, arguments: Iterable[Any]) -> list[T]:
        """Return ``[await function(x) for x in arguments]``, with one round trip for all that is stored."""
        arguments = list(arguments)
        keys = [self._key((argument,), {}) for argument in arguments]
        values = await sync_to_async(self._reading.read_many)(keys)
        for position, argument in enumerate(arguments):
            if values[position] is MISSING:
                values[position] = await self(argument)  # type: ignore[call-arg]
        return values


def home_of(alias: str) -> str:
    """Return the alias of the primary, if `alias` is a replica of one."""
    settings = connections.settings.get(alias, {})
    return str(settings.get("SCALEKIT", {}).get("REPLICA_OF") or alias)


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
