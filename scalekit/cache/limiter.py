"""While the cache is of no use, let only so many calls of a process load at once: the database has to bear them all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

from scalekit.cache.exceptions import TooManyLoads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_LOOK_AGAIN = 0.01  # seconds between two looks of a task, which may not block its loop


class Limiter:
    """At most `most` at once, a function so that the setting can change; others wait, then are refused."""

    def __init__(self, most: Callable[[], int], patience: Callable[[], float]) -> None:
        self._most, self._patience = most, patience
        self._free = Condition()
        self.running = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Load inside. Raises `TooManyLoads` if there is no room in time."""
        with self._free:
            if not self._free.wait_for(self._enter, self._patience()):
                raise self._refusal()
        try:
            yield
        finally:
            self._leave()

    @asynccontextmanager
    async def aslot(self) -> AsyncIterator[None]:
        """Do as `slot` does, for a task."""
        deadline = monotonic() + self._patience()
        while not self._try_enter():
            if monotonic() >= deadline:
                raise self._refusal()
            await asyncio.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            self._leave()

    def _try_enter(self) -> bool:
        with self._free:
            return self._enter()

    def _enter(self) -> bool:
        if self.running >= self._most():
            return False
        self.running += 1
        return True

    def _leave(self) -> None:
        with self._free:
            self.running -= 1
            self._free.notify()

    def _refusal(self) -> TooManyLoads:
        return TooManyLoads(
            f"The cache does not answer, or loads hang: {self._most()} run in this process without it, and none"
            f" ended in {self._patience()} seconds. Raise SCALEKIT_CACHE_LOADS_WHILE_DOWN if the database can bear more."
        )
