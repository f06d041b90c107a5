"""`cached`: a function whose values are kept in one of Django's caches."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from asgiref.sync import iscoroutinefunction

from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.functions import (
    CachedCoroutineFunction,
    CachedFunction,
    CachedProperty,
    cached_functions,
)
from scalekit.cache.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

__all__ = ["cached", "cached_functions", "cached_method"]

P = ParamSpec("P")
T = TypeVar("T")

Ttl = float | timedelta | None


class Unset:
    """The type of `UNSET`: not given, which None would not say."""


UNSET = Unset()


class cached:  # noqa: N801 - used as a decorator
    """Keep what a function returns for `ttl` seconds (or a timedelta; None: without end).

    Of all calls that miss at once, in all processes, one runs the function. None, 0 and "" are values, None
    unless `cache_none` is False; errors are not kept, except those of the types in `cache_errors`, for
    `error_ttl` seconds. Each value ends up to `jitter` (a fraction) of its `ttl` early, and a much-read one is
    loaded again a little before its end. For `stale` seconds after that it is still served while it is loaded
    again in the background, also if that fails. With `timeout` no call waits longer for the function (seconds)
    than that: it gets a stale value, or raises `LoadTimedOut`; the load goes on in a thread or task of its own.

    `ttl=` may be a function of the value. `key` receives the arguments and returns what the value depends on;
    without it that is every argument. Raise `version` when the meaning of the values changes. `alias` names the
    entry of CACHES. `tags` (strings) and `depends_on` (models, instances) name what ends a value before its
    time; either may be a function of the arguments. `many` loads a list of arguments at once, for
    ``function.many(...)``: it returns a dict by argument, or a list in their order.

    Works on functions, coroutine functions, properties, class and static methods (written above
    ``@classmethod``), and methods of saved model instances; other methods need `key`, or `cached_method`.
    """

    names_self = False

    def __init__(  # noqa: PLR0913 - each is a word of its own, and none is required
        self,
        seconds: Ttl | Unset = UNSET,
        /,
        *,
        ttl: Ttl | Callable[[Any], Ttl] = 300,
        key: Callable[..., object] | None = None,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        depends_on: Iterable[Any] | Callable[..., Iterable[Any]] = (),
        stale: float | timedelta = 0,
        jitter: float = 0.1,
        alias: str = "default",
        version: int = 1,
        cache_none: bool = True,
        cache_errors: type[Exception] | tuple[type[Exception], ...] = (),
        error_ttl: float | timedelta = 5,
        timeout: float | timedelta | None = None,
        many: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if _is_function(seconds):
            raise UncacheableFunction(
                "Write @cached(), with parentheses; ttl=, if that was to be the ttl."
            )
        ttl = ttl if isinstance(seconds, Unset) else seconds
        self.ttl = _of_values(ttl) if callable(ttl) else _seconds(ttl)
        self.key, self.tags, self.depends_on, self.many = key, tags, depends_on, many
        self.jitter, self.alias, self.version = jitter, alias, version
        self.stale = _seconds(stale) or 0.0
        self.timeout, self.error_ttl = _seconds(timeout), _seconds(error_ttl) or 0.0
        self.cache_none = cache_none
        self.cache_errors = cache_errors if isinstance(cache_errors, tuple) else (cache_errors,)
        self._refuse_out_of_range()

    @overload
    def __call__(self, function: property) -> Any: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is a function, too
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> CachedCoroutineFunction[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T]) -> CachedFunction[P, T]: ...
    def __call__(self, function: Any) -> Any:
        if isinstance(function, property):
            return CachedProperty(function, self)
        plain = getattr(function, "__func__", function)  # of a class or static method
        kind = CachedCoroutineFunction if iscoroutinefunction(plain) else CachedFunction
        return kind(function, self)

    def policy(self, function: str, path: str = "") -> Policy:
        """Return how the values of `function` are kept; `path` is where a task worker finds it."""
        return Policy(
            function=function,
            alias=self.alias,
            ttl=self.ttl,
            jitter=self.jitter,
            stale=self.stale,
            timeout=self.timeout,
            cache_none=self.cache_none,
            cache_errors=self.cache_errors,
            error_ttl=self.error_ttl,
            path=path,
        )

    def _refuse_out_of_range(self) -> None:
        if not callable(self.ttl) and self.ttl is not None and self.ttl < 1:
            raise UncacheableFunction(
                f"@cached(ttl={self.ttl!r}): write 1 second or more, or None."
            )
        if not 0 <= self.jitter <= 1:
            raise UncacheableFunction(f"@cached(jitter={self.jitter!r}): write a fraction, 0 to 1.")
        if self.stale < 0:
            raise UncacheableFunction(f"@cached(stale={self.stale!r}): write seconds, 0 or more.")
        for name in ("timeout", "error_ttl"):
            seconds = getattr(self, name)
            if seconds is not None and seconds <= 0:
                raise UncacheableFunction(f"@cached({name}={seconds!r}): write seconds, above 0.")
        for kind in self.cache_errors:
            if not _is_error_class(kind):
                msg = f"@cached(cache_errors={kind!r}): write exception classes, as in except."
                raise UncacheableFunction(msg)


class cached_method(cached):  # noqa: N801 - used as a decorator
    """Do as `cached` does, for a method of objects that are no model instances.

    The object's class says what it is called in a key, by ``__cache_key__(self)``, which returns what the
    values depend on; two classes never share a value. Raises `UncacheableArgument` where it does not say.
    """

    names_self = True


def _seconds(given: Ttl) -> float | None:
    return given.total_seconds() if isinstance(given, timedelta) else given


def _of_values(ttl: Callable[[Any], Ttl]) -> Callable[[Any], float | None]:
    return lambda value: _seconds(ttl(value))


def _is_error_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def _is_function(given: object) -> bool:
    return callable(given) or isinstance(given, (classmethod, staticmethod, property))
