"""`get_or_compute`: a value by a key of your own, under all the promises of `cached`."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from scalekit.cache.decorators import cached
from scalekit.cache.functions import home_of
from scalekit.cache.invalidation.base import Dependencies
from scalekit.cache.keys import KeyMaker
from scalekit.cache.loop_reading import LoopReading
from scalekit.cache.reading import Question, Reading
from scalekit.cache.thread_reading import ThreadReading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

T = TypeVar("T")

_NAME = "get_or_compute"


def get_or_compute(
    key: Any, load: Callable[[], T], *, ttl: float | timedelta | None = 300, **options: Any
) -> T:
    """Return what is kept under `key`, or what `load` returns, and keep that.

    `key` is anything that may be an argument of a cached function, such as a string or a tuple. The options
    are those of `cached`, except `key` and `many`. Tell it to forget by `tags`, or by `invalidate_key`.
    """
    reading, question = _asked(ThreadReading, key, cached(ttl, **options))
    return reading.get(question, partial(load))  # type: ignore[no-any-return]  # the store knows no types


async def aget_or_compute(
    key: Any,
    load: Callable[[], Awaitable[T]],
    *,
    ttl: float | timedelta | None = 300,
    **options: Any,
) -> T:
    """Do as `get_or_compute` does, for a coroutine function."""
    reading, question = _asked(LoopReading, key, cached(ttl, **options))
    return await reading.get(question, partial(load))  # type: ignore[no-any-return]


def invalidate_key(key: Any, *, alias: str = "default", version: int = 1) -> None:
    """Give up what `get_or_compute` keeps under `key`: in a transaction on its commit, else at once."""
    reading, question = _asked(ThreadReading, key, cached(alias=alias, version=version))
    reading.invalidate((question.key,))


async def ainvalidate_key(key: Any, *, alias: str = "default", version: int = 1) -> None:
    """Do as `invalidate_key` does."""
    reading, question = _asked(LoopReading, key, cached(alias=alias, version=version))
    await reading.invalidate((question.key,))


R = TypeVar("R", bound=Reading)


def _asked(kind: type[R], key: Any, options: cached) -> tuple[R, Question]:
    reading = kind(options.policy(_NAME))
    keys = KeyMaker(_NAME, options.version, _SIGNATURE, None, home_of)
    depends = Dependencies(options.alias, options.tags, options.depends_on, function=_NAME)
    names = depends.names((key,), {}) if depends else ()
    store = reading.store
    here = (_NAME, store.made_key(keys.key((key,), {}))) if store.local is not None else None
    return reading, Question(store.made_key(keys.key((key,), {})), names, here)


def _shape(key: Any) -> Any: ...


_SIGNATURE = signature(_shape)
