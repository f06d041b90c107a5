"""Single flight: of all the calls that miss one key at one moment, one loads and the others wait.

A flight that was forgotten (its key was invalidated, refreshed, or its waiters gave up) still brings its
value to those who wait for it, but may no longer store it: `Flight.store` asks under a lock.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, wait
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable, Coroutine


class Flight:
    """One running load of one key."""

    def __init__(self) -> None:
        self.stale = False
        self._storing = Lock()

    def store(self, write: Callable[[], None]) -> None:
        """Call `write` unless the flight was forgotten; `forget` waits until it is done."""
        with self._storing:
            if not self.stale:
                write()

    def forget(self) -> None:
        with self._storing:
            self.stale = True


class ThreadFlight(Flight):
    def __init__(self) -> None:
        super().__init__()
        self.pilot = get_ident()
        self.landed: Future[Any] = Future()

    def wait(self, seconds: float) -> bool:
        """Return whether it landed in time, with a value or an error."""
        wait([self.landed], seconds)
        return self.landed.done() and not self.landed.cancelled()


class ThreadFlights:
    """The flights of synchronous functions: the first caller's thread loads."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the parent's threads load for the parent

    def _reset(self) -> None:
        self._flights: dict[str, ThreadFlight] = {}
        self._lock = Lock()

    def run(self, key: str, load: Callable[[Flight], Any], max_wait: float) -> tuple[Any, bool]:
        """Return the value, and whether it was another call's.

        An error of the loader reaches all who wait. One who has waited `max_wait` seconds takes over.
        """
        while True:
            flight, joined = self._board(key)
            if not joined:
                return self._fly(key, flight, load), False
            if flight.pilot == get_ident():  # the loader calls itself: waiting would be for ever
                return load(flight), False
            if flight.wait(max_wait):
                return flight.landed.result(), True
            self._leave(key, flight)

    def forget(self, key: str) -> None:
        """Let no running load of `key` store its value, and no later caller join it."""
        with self._lock:
            flight = self._flights.pop(key, None)
        if flight is not None:
            flight.forget()

    def _board(self, key: str) -> tuple[ThreadFlight, bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, True
            flight = self._flights[key] = ThreadFlight()
            return flight, False

    def _fly(self, key: str, flight: ThreadFlight, load: Callable[[Flight], Any]) -> Any:
        try:
            value = load(flight)
        except Exception as error:
            flight.landed.set_exception(error)
            raise
        except BaseException:  # this thread ends; those who wait shall try again, not end with it
            flight.landed.cancel()
            raise
        else:
            flight.landed.set_result(value)
            return value
        finally:
            self._leave(key, flight)

    def _leave(self, key: str, flight: ThreadFlight) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        if not flight.landed.done():
            flight.stale = True


class LoopFlight(Flight):
    task: Task[Any] | None = None


class LoopFlights:
    """The flights of coroutine functions: a task of its own loads, so that no caller's end ends it."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._flights: dict[tuple[str, AbstractEventLoop], LoopFlight] = {}
        self._lock = Lock()

    async def run(
        self, key: str, load: Callable[[Flight], Coroutine[Any, Any, Any]], max_wait: float
    ) -> tuple[Any, bool]:
        """Do as `ThreadFlights.run` does, among the tasks of one event loop."""
        place = key, asyncio.get_running_loop()
        while True:
            flight, joined = self._board(place)
            if not joined:
                return await self._fly(place, flight, load), False
            if flight.task is None or flight.task is asyncio.current_task():  # it calls itself
                return await load(flight), False
            await asyncio.wait([flight.task], timeout=max_wait)
            if flight.task.done() and not flight.task.cancelled():
                return flight.task.result(), True
            self._leave(place, flight)

    def forget(self, key: str) -> None:
        """Let no running load of `key` store its value, on any loop, and no later caller join it."""
        with self._lock:
            places = [place for place in self._flights if place[0] == key]
            forgotten = [self._flights.pop(place) for place in places]
        for flight in forgotten:
            flight.forget()

    def _board(self, place: tuple[str, AbstractEventLoop]) -> tuple[LoopFlight, bool]:
        with self._lock:
            flight = self._flights.get(place)
            if flight is not None:
                return flight, True
            flight = self._flights[place] = LoopFlight()
            return flight, False

    async def _fly(
        self,
        place: tuple[str, AbstractEventLoop],
        flight: LoopFlight,
        load: Callable[[Flight], Coroutine[Any, Any, Any]],
    ) -> Any:
        task = flight.task = asyncio.create_task(load(flight))
        task.add_done_callback(lambda done: self._land(place, flight, done))
        await asyncio.wait([task])
        return task.result()

    def _land(
        self, place: tuple[str, AbstractEventLoop], flight: LoopFlight, task: Task[Any]
    ) -> None:
        self._leave(place, flight)
        if not task.cancelled():
            task.exception()  # seen, even if everybody who waited has gone

    def _leave(self, place: tuple[str, AbstractEventLoop], flight: LoopFlight) -> None:
        with self._lock:
            if self._flights.get(place) is flight:
                del self._flights[place]
        if flight.task is not None and not flight.task.done():
            flight.stale = True


thread_flights = ThreadFlights()
loop_flights = LoopFlights()
