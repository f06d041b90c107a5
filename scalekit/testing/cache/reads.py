"""What cached functions answered from, and what is kept."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction

from scalekit.cache.events import CACHE_LOADED, CACHE_READ
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.core.events import Event


@contextmanager
def cache_reads(function: Any = None) -> Iterator[Counter[str]]:
    """Give the number of reads by result (`hit`, `miss`, `stale` ...), of all functions or one, in the block."""
    reads: Counter[str] = Counter()

    def count(_: Event, payload: dict[str, Any]) -> None:
        if function is None or payload["function"] == name_of(function):
            reads[payload["result"]] += 1

    end = CACHE_READ.subscribe(count)
    try:
        yield reads
    finally:
        end()


@contextmanager
def assert_hits(hits: int, function: Any = None) -> Iterator[None]:
    """Fail unless exactly so many reads of the block, of all functions or one, ran nothing."""
    with cache_reads(function) as reads:
        yield
    found = reads["hit"] + reads["stale"] + reads["joined"]
    if found != hits:
        _fail(f"{found} hits, not {hits}: {dict(reads) or 'nothing was asked'}.{_advice(reads)}")


@contextmanager
def assert_loads(loads: int, function: Any = None) -> Iterator[None]:
    """Fail unless cached functions, all or one, ran exactly so many times in the block."""
    ran: list[str] = []

    def note(_: Event, payload: dict[str, Any]) -> None:
        if function is None or payload["function"] == name_of(function):
            ran.append(payload["function"])

    end = CACHE_LOADED.subscribe(note)
    try:
        yield
    finally:
        end()
    if len(ran) != loads:
        _fail(f"{len(ran)} loads, not {loads}: {dict(Counter(ran)) or 'nothing ran'}.")


def assert_cached(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Fail unless the value of this call is kept and valid; return it. Runs nothing."""
    value = _peeked(function, args, kwargs)
    if value is MISSING:
        _fail(f"{_call(function, args, kwargs)} is not cached.")
    return value


def assert_not_cached(function: Any, *args: Any, **kwargs: Any) -> None:
    """Fail if the value of this call is kept and valid."""
    value = _peeked(function, args, kwargs)
    if value is not MISSING:
        _fail(f"{_call(function, args, kwargs)} is cached: {value!r}.")


def name_of(function: Any) -> str:
    """Return what a cached function is called in events."""
    return f"{function.__module__}.{function.__qualname__}"


def _peeked(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    peek = function.peek
    return (async_to_sync(peek) if iscoroutinefunction(peek) else peek)(*args, **kwargs)


def _call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    named = [repr(arg) for arg in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
    return f"{name_of(function)}({', '.join(named)})"


def _advice(reads: Counter[str]) -> str:
    if reads["bypassed"]:
        return " What this test wrote is not committed, so that it is read past the cache: call settle() first."
    return ""


def _fail(message: str) -> None:
    raise AssertionError(message)
