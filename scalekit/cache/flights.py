"""Single flight: of all the calls that miss one key at one moment, one loads and the others wait.

A flight that was forgotten (its key was invalidated, refreshed, or its waiters gave up) still brings its
value to those who wait for it, but may no longer store it: `Flight.store` asks under a lock.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, wait
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable, Coroutine

Place = tuple[str, str]  # the alias of a cache, and a key as its server sees it


class Flight:
    """One running load of one key. The flights of a key share a lock, held by the one that stores."""

    def __init__(self, storing: Lock) -> None:
        self.stale = False
        self._storing = storing

    def store(self, write: Callable[[], None]) -> None:
        """Call `write` unless the flight was forgotten."""
        with self._storing:
            if not self.stale:
                write()


class ThreadFlight(Flight):
    def __init__(self, storing: Lock) -> None:
        super().__init__(storing)
        self.pilot = get_ident()
        self.landed: Future[Any] = Future()

    def wait(self, seconds: float) -> bool:
        """Return whether it landed in time, with a value or an error."""
        wait([self.landed], seconds)
        return self.landed.done() and not self.landed.cancelled()


class LoopFlight(Flight):
    task: Task[Any] | None = None


F = TypeVar("F", bound=Flight)


class _Flights(Generic[F]):
    """The running flights, by place and event loop (None: threads)."""

    def __init__(self, kind: type[F]) -> None:
        self._kind = kind
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the parent's threads load for the parent

    def _reset(self) -> None:
        self._flights: dict[tuple[Place, AbstractEventLoop | None], F] = {}
        self._storing: WeakValueDictionary[Place, Lock] = WeakValueDictionary()
        self._lock = Lock()

    def forget(self, place: Place) -> None:
        """Let no running load of `place` store its value, on any loop, and no later caller join it."""
        with self._lock:
            self._forget(place)
            storing = self._storing.get(place)
        if storing is not None:
            with storing:  # a flight that is storing already has done so afterwards
                pass

    def _forget(self, place: Place) -> None:
        for running in [key for key in self._flights if key[0] == place]:
            self._flights.pop(running).stale = True

    def _board(
        self, place: Place, loop: AbstractEventLoop | None, *, afresh: bool
    ) -> tuple[F, bool]:
        """Return the running flight and True, or a new one and False; if `afresh`, always a new one."""
        with self._lock:
            if afresh:
                self._forget(place)
            flight = self._flights.get((place, loop))
            if flight is not None:
                return flight, True
            flight = self._kind(self._storing.setdefault(place, Lock()))
            self._flights[place, loop] = flight
            return flight, False

    def _leave(self, place: Place, loop: AbstractEventLoop | None, flight: F) -> None:
        with self._lock:
            if self._flights.get((place, loop)) is flight:
                del self._flights[place, loop]
        flight.stale = True


class ThreadFlights(_Flights[ThreadFlight]):
    """The flights of synchronous functions: the first caller's thread loads."""

    def run(
        self, place: Place, load: Callable[[Flight], Any], max_wait: float, *, afresh: bool = False
    ) -> tuple[Any, bool]:
        """Return the value, and whether it was another call's, which it never is if `afresh`.

        An error of the loader reaches all who wait. One who has waited `max_wait` seconds loads: for all
        who come later, or for itself if another has begun to.
        """
        deadline = monotonic() + max_wait
        while True:
            flight, joined = self._board(place, None, afresh=afresh)
            if not joined:
                return self._fly(place, flight, load), False
            if flight.pilot == get_ident():  # the loader calls itself: waiting would be for ever
                return load(flight), False
            left = deadline - monotonic()
            if left <= 0:
                return load(_forgotten()), False
            if flight.wait(left):
                return flight.landed.result(), True
            self._leave(place, None, flight)

    def _fly(self, place: Place, flight: ThreadFlight, load: Callable[[Flight], Any]) -> Any:
        try:
            value = load(flight)
        except Exception as error:
            flight.landed.set_exception(error)
            raise
        except BaseException:  # this thread ends; those who wait shall try again, not end with it
            flight.landed.cancel()
            flight.landed.set_running_or_notify_cancel()  # without it nobody is woken
            raise
        else:
            flight.landed.set_result(value)
            return value
        finally:
            self._leave(place, None, flight)


class LoopFlights(_Flights[LoopFlight]):
    """The flights of coroutine functions: a task of its own loads, so that no caller's end ends it."""

    async def run(
        self,
        place: Place,
        load: Callable[[Flight], Coroutine[Any, Any, Any]],
        max_wait: float,
        *,
        afresh: bool = False,
    ) -> tuple[Any, bool]:
        """Do as `ThreadFlights.run` does, among the tasks of one event loop."""
        loop, deadline = asyncio.get_running_loop(), monotonic() + max_wait
        while True:
            flight, joined = self._board(place, loop, afresh=afresh)
            if not joined:
                return await self._fly(place, loop, flight, load), False
            if flight.task is None or flight.task is asyncio.current_task():  # it calls itself
                return await load(flight), False
            left = deadline - monotonic()
            if left <= 0:
                return await load(_forgotten()), False
            await asyncio.wait([flight.task], timeout=left)
            if flight.task.done() and not flight.task.cancelled():
                return flight.task.result(), True
            self._leave(place, loop, flight)

    async def _fly(
        self,
        place: Place,
        loop: AbstractEventLoop,
        flight: LoopFlight,
        load: Callable[[Flight], Coroutine[Any, Any, Any]],
    ) -> Any:
        def land(task: Task[Any]) -> None:
            self._leave(place, loop, flight)
            if not task.cancelled():
                task.exception()  # seen, even if everybody who waited has gone

        task = flight.task = loop.create_task(load(flight))
        task.add_done_callback(land)
        await asyncio.wait([task])
        return task.result()


def _forgotten() -> Flight:
    """Return a flight for one call alone: no `forget` would reach it, so it may not store."""
    flight = Flight(Lock())
    flight.stale = True
    return flight


thread_flights = ThreadFlights(ThreadFlight)
loop_flights = LoopFlights(LoopFlight)
