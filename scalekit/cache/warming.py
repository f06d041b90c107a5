"""Filling the cache before visitors do: warmers, and the calls that they name, some at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Queue
from threading import Lock
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import connections

from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.functions import CachedCoroutineFunction, CachedFunction
from scalekit.cache.store import store_of
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Job = tuple[Any, ...]  # a cached function and its arguments

_AHEAD = 100  # jobs that are taken from a warmer before their turn: it may name millions
_ERRORS = 10  # that are told in full


@dataclass(slots=True)
class Warmed:
    """What came of it; `errors` are the first few."""

    done: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)


class Warming:
    """Call the functions of jobs, in `threads` at once; anew, if `refresh`. `told` hears after each.

    The warmer itself runs in the caller's thread, where its cursor belongs.
    """

    def __init__(self, *, threads: int, refresh: bool, told: Callable[[Warmed], None]) -> None:
        self._threads, self._refresh, self._told = threads, refresh, told
        self._queue: Queue[Job | None] = Queue(_AHEAD)
        self._lock = Lock()
        self._warmed = Warmed()

    def run(self, jobs: Iterable[Job]) -> Warmed:
        """Return when all are done. Raises what the warmer raises, after what it named before."""
        with ThreadPoolExecutor(self._threads, "scalekit-cache-warm") as pool:
            workers = [pool.submit(self._work) for _ in range(self._threads)]
            try:
                for job in jobs:
                    self._queue.put(job)
            finally:
                for _ in workers:
                    self._queue.put(None)
        return self._warmed

    def _work(self) -> None:
        try:
            while (job := self._queue.get()) is not None:
                self._count(self._call(job))
        finally:
            connections.close_all()

    def _call(self, job: Job) -> str | None:
        """Make one call; return what went wrong, with it or with keeping what it returned."""
        function, *args = job
        try:
            _answer(function.refresh if self._refresh else function, args)
            missing = _answer(function.peek, args) is MISSING
        except Exception as error:  # noqa: BLE001 - of the project's own function
            return f"{function!r}{tuple(args)!r}: {error!r}"
        if store_of(function.alias).is_down:
            return f"{function!r}{tuple(args)!r}: CACHES[{function.alias!r}] does not answer"
        if missing:
            return f"{function!r}{tuple(args)!r}: was loaded, but is not in the cache"
        return None

    def _count(self, error: str | None) -> None:
        with self._lock:
            self._warmed.done += 1
            if error is not None:
                self._warmed.failed += 1
                self._warmed.errors = [*self._warmed.errors, error][:_ERRORS]
            self._told(self._warmed)


def _answer(call: Any, args: list[Any]) -> Any:
    return (async_to_sync(call) if iscoroutinefunction(call) else call)(*args)


def checked(jobs: Iterable[Any], warmer: str) -> Iterator[Job]:
    """Yield what a warmer names: tuples of a cached function and its arguments. Raises `UncacheableFunction`."""
    for job in jobs:
        parts = job if isinstance(job, tuple) else (job,)
        if not parts or not isinstance(parts[0], (CachedFunction, CachedCoroutineFunction)):
            msg = f"{warmer} named {job!r}: let it yield (cached_function, *arguments), or return None."
            raise UncacheableFunction(msg)
        yield parts
