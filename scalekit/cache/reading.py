"""The one algorithm: hit, or load once while the others wait, and fill."""

from __future__ import annotations

from dataclasses import dataclass
from random import random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_INVALIDATED, CACHE_LOADED, CACHE_READ
from scalekit.cache.flights import loop_flights, thread_flights
from scalekit.cache.store import Store, store_of
from scalekit.cache.values import MISSING, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from scalekit.cache.flights import Flight, LoopFlights, Place, ThreadFlights


@dataclass(frozen=True, slots=True)
class Policy:
    """How one function's values are kept; `ttl` in seconds, None for no end, `jitter` a fraction of it."""

    function: str
    alias: str
    ttl: float | None
    jitter: float

    def lifetime(self) -> int | None:
        """Return whole seconds, a random share below `ttl`, so that what was filled at once ends apart."""
        if self.ttl is None:
            return None
        return max(1, round(self.ttl * (1 - self.jitter * random())))  # noqa: S311 - no secret


class _Reading:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    @property
    def store(self) -> Store:
        return store_of(self.policy.alias)

    def peek(self, key: str) -> Any:
        return self.store.read(key)

    def read(self, key: str) -> Any:
        """Return what is stored, announcing a hit."""
        value = self.store.read(key)
        if value is not MISSING:
            self._announce("hit")
        return value

    def read_many(self, keys: Sequence[str]) -> list[Any]:
        values = self.store.read_many(keys)
        for value in values:
            if value is not MISSING:
                self._announce("hit")
        return values

    def fill(self, key: str, value: Any, flight: Flight) -> bytes:
        """Store `value`, unless the flight was forgotten; return it packed, for those who wait."""
        packed = pack(value)
        flight.store(lambda: self.store.write(key, packed, self.policy.lifetime()))
        return packed

    def place(self, key: str) -> Place:
        return self.policy.alias, self.store.made_key(key)

    def forget(self, key: str, flights: ThreadFlights | LoopFlights) -> None:
        """Delete the value, and the right of every running load of this process to store its own."""
        flights.forget(self.place(key))
        self.store.delete(key)
        CACHE_INVALIDATED.emit(function=self.policy.function, alias=self.policy.alias)

    def _announce(self, result: str) -> None:
        CACHE_READ.emit(function=self.policy.function, result=result, alias=self.policy.alias)

    def _announce_flight(self, *, joined: bool) -> None:
        self._announce("down" if self.store.is_down else "joined" if joined else "miss")

    def _announce_load(self, started: float, outcome: str) -> None:
        seconds = perf_counter() - started
        CACHE_LOADED.emit(function=self.policy.function, outcome=outcome, seconds=seconds)


class ThreadReading(_Reading):
    """For synchronous functions."""

    def get(self, key: str, call: Callable[[], Any]) -> Any:
        value = self.read(key)
        return self.load(key, call) if value is MISSING else value

    def load(self, key: str, call: Callable[[], Any], *, afresh: bool = False) -> Any:
        """Return the value of the one running load, ours if there is none or it shall be `afresh`."""

        def fly(flight: Flight) -> tuple[Any, Any]:
            # Another flight may have landed between our reading and our boarding.
            packed = None if afresh else self.store.fetch(key)
            value = self.store.unpack(packed)
            if value is MISSING:
                value = self._call(call)
                packed = self.fill(key, value, flight)
            return value, packed

        (value, packed), joined = thread_flights.run(
            self.place(key), fly, settings.MAX_WAIT, afresh=afresh
        )
        if joined:
            value = self.store.unpack(packed)  # to each its own copy
            if value is MISSING:  # it can be pickled, but not unpickled
                value = self._call(call)
        self._announce_flight(joined=joined)
        return value

    def refresh(self, key: str, call: Callable[[], Any]) -> Any:
        return self.load(key, call, afresh=True)

    def invalidate(self, key: str) -> None:
        self.forget(key, thread_flights)

    def _call(self, call: Callable[[], Any]) -> Any:
        started = perf_counter()
        outcome = "error"
        try:
            value = call()
            outcome = "ok"
            return value
        finally:
            self._announce_load(started, outcome)


class LoopReading(_Reading):
    """For coroutine functions. The cache is asked in a thread, as Django's own ``aget`` does."""

    async def get(self, key: str, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        value = await sync_to_async(self.read)(key)
        return await self.load(key, call) if value is MISSING else value

    async def load(
        self, key: str, call: Callable[[], Coroutine[Any, Any, Any]], *, afresh: bool = False
    ) -> Any:
        """Do as `ThreadReading.load` does."""

        async def fly(flight: Flight) -> tuple[Any, Any]:
            packed = None if afresh else await sync_to_async(self.store.fetch)(key)
            value = self.store.unpack(packed)
            if value is MISSING:
                value = await self._call(call)
                packed = await sync_to_async(self.fill)(key, value, flight)
            return value, packed

        place = await sync_to_async(self.place)(key)  # where the tenant's connection is
        (value, packed), joined = await loop_flights.run(
            place, fly, settings.MAX_WAIT, afresh=afresh
        )
        if joined:
            value = self.store.unpack(packed)
            if value is MISSING:
                value = await self._call(call)
        self._announce_flight(joined=joined)
        return value

    async def refresh(self, key: str, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await self.load(key, call, afresh=True)

    async def invalidate(self, key: str) -> None:
        await sync_to_async(self.forget)(key, loop_flights)

    async def _call(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        started = perf_counter()
        outcome = "error"
        try:
            value = await call()
            outcome = "ok"
            return value
        finally:
            self._announce_load(started, outcome)
