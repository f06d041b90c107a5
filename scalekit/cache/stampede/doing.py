"""Do the steps of `leading`: in a thread, and in a task."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from scalekit.cache.events import CACHE_LOADED
from scalekit.cache.invalidation.base import seeing
from scalekit.cache.stampede.steps import Ask, Fetch, Keep, Load, Loaded, Pause, loading
from scalekit.core.context import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from scalekit.cache.flights import Flight
    from scalekit.cache.stampede.steps import Step
    from scalekit.cache.store import Store


class _Doer:
    def __init__(self, store: Store, function: str, flight: Flight | None = None) -> None:
        self.store, self.function, self.flight = store, function, flight

    def _is_limited(self, load: Load) -> bool:
        """Return whether the load needs a slot; one inside another's load has that."""
        return load.is_limited and not loading.get()

    def _loaded(self, started: float, value: Any, error: Exception | None) -> Loaded:
        loaded = Loaded(value, error, perf_counter() - started)
        self._announce(loaded.seconds, "ok" if error is None else "error")
        return loaded

    def _announce(self, seconds: float, outcome: str) -> None:
        CACHE_LOADED.emit(function=self.function, outcome=outcome, seconds=seconds)

    def _under(self, load: Load) -> Binding[frozenset[bytes]]:
        return Binding(loading, loading.get() | load.tokens)


class ThreadDoer(_Doer):
    """Does steps for the thread that calls it; `call` is the function to be cached."""

    def __init__(
        self,
        store: Store,
        function: str,
        call: Callable[[], Any],
        flight: Flight | None = None,
    ) -> None:
        super().__init__(store, function, flight)
        self._call = call

    def __call__(self, step: Step) -> Any:
        match step:
            case Fetch():
                return self.store.fetch(step.keys)
            case Ask():
                return self.store.run(step.operation, step.request)
            case Pause():
                return sleep(step.seconds)
            case Load():
                return self._load(step)
            case Keep():
                return self._keep(step)

    def _keep(self, step: Keep) -> Any:
        if self.flight is None or self.store.server.has_leases:
            return self.store.run("write", step.request)
        return self.flight.store(lambda: self.store.run("write", step.request))

    def _load(self, step: Load) -> Loaded:
        started = perf_counter()
        slot: AbstractContextManager[None] = nullcontext()
        if self._is_limited(step):
            slot = self.store.limiter.slot()
        try:
            with slot, seeing(step.facts), self._under(step):
                value = self._call()
        except Exception as error:  # noqa: BLE001 - it is the callers'
            return self._loaded(started, None, error)
        except BaseException:
            self._announce(perf_counter() - started, "error")
            raise
        return self._loaded(started, value, None)


class LoopDoer(_Doer):
    """Does steps for the task that calls it."""

    def __init__(
        self,
        store: Store,
        function: str,
        call: Callable[[], Coroutine[Any, Any, Any]],
        flight: Flight | None = None,
    ) -> None:
        super().__init__(store, function, flight)
        self._call = call

    async def __call__(self, step: Step) -> Any:
        match step:
            case Fetch():
                return await self.store.afetch(step.keys)
            case Ask():
                return await self.store.arun(step.operation, step.request)
            case Pause():
                return await asyncio.sleep(step.seconds)
            case Load():
                return await self._load(step)
            case Keep():
                return await self._keep(step)

    async def _keep(self, step: Keep) -> Any:
        if self.flight is None or self.store.server.has_leases:
            return await self.store.arun("write", step.request)
        write = sync_to_async(self.flight.store)
        return await write(lambda: self.store.run("write", step.request))

    async def _load(self, step: Load) -> Loaded:
        started = perf_counter()
        slot: AbstractAsyncContextManager[None] = nullcontext()
        if self._is_limited(step):
            slot = self.store.limiter.aslot()
        try:
            async with slot:
                with seeing(step.facts), self._under(step):
                    value = await self._call()
        except Exception as error:  # noqa: BLE001 - as above
            return self._loaded(started, None, error)
        except BaseException:
            self._announce(perf_counter() - started, "error")
            raise
        return self._loaded(started, value, None)
