"""`get_or_compute`: a value by a key of your own, under all the promises of `cached`."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.core.signals import setting_changed

from scalekit.cache.decorators import cached
from scalekit.cache.functions import home_of
from scalekit.cache.invalidation.base import Dependencies
from scalekit.cache.keys import KeyMaker
from scalekit.cache.loop_reading import LoopReading
from scalekit.cache.reading import Question, Reading
from scalekit.cache.thread_reading import ThreadReading
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_NAME = "get_or_compute"
_MOST = 256  # sets of options that are remembered


def get_or_compute(
    key: Any, load: Callable[[], T], *, ttl: float | timedelta | None = 300, **options: Any
) -> T:
    """Return what is kept under `key`, or what `load` returns, and keep that.

    `key` is anything that may be an argument of a cached function, such as a string or a tuple. The options
    are those of `cached`, except `key` and `many`. Tell it to forget by `tags`, or by `invalidate_key`.
    """
    reading, question = _asked(ThreadReading, key, ttl, options)
    near = _near(reading, question)
    return reading.get(question, partial(load)) if near is MISSING else near  # type: ignore[no-any-return]  # the store knows no types


async def aget_or_compute(
    key: Any,
    load: Callable[[], Awaitable[T]],
    *,
    ttl: float | timedelta | None = 300,
    **options: Any,
) -> T:
    """Do as `get_or_compute` does, for a coroutine function."""
    reading, question = _asked(LoopReading, key, ttl, options)
    near = _near(reading, question)
    return await reading.get(question, partial(load)) if near is MISSING else near  # type: ignore[no-any-return]  # the cache knows no types


def invalidate_key(key: Any, *, alias: str = "default", version: int = 1) -> None:
    """Give up what `get_or_compute` keeps under `key`: in a transaction on its commit, else at once."""
    reading, question = _asked(ThreadReading, key, 300, {"alias": alias, "version": version})
    reading.invalidate((question.key,))


async def ainvalidate_key(key: Any, *, alias: str = "default", version: int = 1) -> None:
    """Do as `invalidate_key` does."""
    reading, question = _asked(LoopReading, key, 300, {"alias": alias, "version": version})
    await reading.invalidate((question.key,))


R = TypeVar("R", bound=Reading)


def _asked(kind: type[R], key: Any, ttl: Any, options: dict[str, Any]) -> tuple[R, Question]:
    prepared = _prepared_for(kind, ttl, options)
    store = prepared.reading.store
    made = store.made_key(prepared.keys.key((key,), {}))
    names = prepared.depends.names((key,), {}) if prepared.depends else ()
    here = (_NAME, made) if store.local is not None else None
    return prepared.reading, Question(made, names, here)


def _near(reading: Reading, question: Question) -> Any:
    """Return what this process has of its own, or `MISSING`."""
    if question.here is None:
        return MISSING
    tier = reading.store.local
    value = MISSING if tier is None else tier.get(question.here)
    if value is not MISSING:
        reading.announce("hit")
    return value


class _Prepared(NamedTuple):
    """What all calls with the same options share; to make it takes longer than to ask the cache."""

    reading: Any
    keys: KeyMaker
    depends: Dependencies | None


def _prepared_for(kind: type[Reading], ttl: Any, options: dict[str, Any]) -> _Prepared:
    steady: list[tuple[str, Any, type]] = []
    for name, value in (("ttl", ttl), *options.items()):
        fixed: Any = tuple(value) if type(value) is list else value
        if not _is_steady(fixed):
            return _prepare(kind, ttl, options)
        steady.append((name, fixed, type(fixed)))  # 1 is not True
    return _remembered(kind, tuple(steady))  # type: ignore[arg-type]  # mypy: a class has no hash


def _is_steady(value: Any) -> bool:
    """Return whether `value` says the same in every call, and keeps alive nothing of a single one."""
    if type(value) is tuple:
        return all(type(item) is str or isinstance(item, type) for item in value)
    return value is None or type(value) in _PLAIN or isinstance(value, type)


_PLAIN = {bool, int, float, str, timedelta}


@lru_cache(_MOST)
def _remembered(kind: type[Reading], steady: tuple[tuple[str, Any, type], ...]) -> _Prepared:
    options = {name: value for name, value, _ in steady}
    return _prepare(kind, options.pop("ttl"), options)


def _prepare(kind: type[Reading], ttl: Any, options: dict[str, Any]) -> _Prepared:
    given = cached(ttl, **options)
    depends = Dependencies(given.alias, given.tags, given.depends_on, function=_NAME)
    if depends and given.alias not in _aliases:  # known beyond this call to whoever ends values
        _aliases[given.alias] = Dependencies(given.alias, (_NAME,), function=_NAME)
    return _Prepared(kind(given.policy(_NAME)), _keys(given.version), depends or None)


@lru_cache(_MOST, typed=True)
def _keys(version: int) -> KeyMaker:
    return KeyMaker(_NAME, version, _SIGNATURE, None, home_of)


_aliases: dict[str, Dependencies] = {}


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        _aliases.clear()
        _remembered.cache_clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.cache.computing")


def _shape(key: Any) -> Any: ...


_SIGNATURE = signature(_shape)
