"""Single flight: of all the calls that miss one key at one moment, one loads and the others wait.

Nobody joins a flight that may have begun to load before a commit which they must see: a `View` says what
its caller has seen, and `Flight.may_take` whether the flight is worth waiting for. A flight that was
forgotten (its key was invalidated, refreshed, or its waiters gave up) still brings its value to those who
wait for it. Where there are no leases it may no longer store it: `Flight.store` asks under a lock.

Nobody waits for ever. After `SCALEKIT_CACHE_MAX_WAIT` one of those who wait takes the load over, and the others
wait for that one, once; who has waited twice loads alone, and so many do at once as while the cache is down.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock, Thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from weakref import WeakSet, WeakValueDictionary

from scalekit.cache.conf import settings
from scalekit.cache.exceptions import LoadTimedOut
from scalekit.cache.stampede.background import in_own_thread

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable, Coroutine

Place = tuple[str, str]  # the alias of a cache, and a key as its server sees it


class View(NamedTuple):
    """What a caller has seen: when it began to look (0 if it need not matter), the stamps, a running lease."""

    since: float = 0.0
    stamps: bytes | None = None  # not known, or not there
    token: bytes = b""
    demands: bool = False  # it has seen facts that the load must see, too


class Flight:
    """One running load of one key. The flights of a key share a lock, held by the one that stores."""

    is_alone = False
    is_limited = False  # must have a place among the loads of an outage

    def __init__(self, storing: Lock) -> None:
        self.stale = False
        self.started = monotonic()
        self.asked: float | None = None  # for a lease, last
        self.began: float | None = None  # to load, or to look for what another process has loaded
        self.stamps: bytes | None = None
        self.token = b""
        self._storing = storing

    def ask(self, stamps: bytes, token: bytes) -> bytes:
        """Note that a lease is asked for, under which these stamps will hold; return its token."""
        self.asked, self.stamps, self.token = monotonic(), stamps, token
        return token

    def follow(self, stamps: bytes, token: bytes) -> None:
        """Note that another process loads under this lease, and that what it brings was not looked for yet."""
        self.stamps, self.token = stamps, token
        self.asked = self.began = None

    def begin(self) -> None:
        """Note that the load begins, or a look for what another process has loaded: what it brings is no younger."""
        self.began = monotonic()

    def may_take(self, view: View) -> bool:
        """Return whether one who has seen `view` may have what this flight brings.

        It must begin to load, or to look, after the caller began to look, or the server have said that the lease
        of its load is valid still; else what it brings may be older than a commit before the call.
        """
        if view.stamps is not None and self.stamps is not None and view.stamps != self.stamps:
            return False
        starts = (self.asked, self.began) if view.demands else (self.began,)
        if all(start is None or start >= view.since for start in starts):
            return True
        return bool(view.token) and view.token == self.token and view.stamps == self.stamps

    @property
    def has_landed(self) -> bool:
        """Return whether it has brought something, or come to its end."""
        return False

    @property
    def is_hung(self) -> bool:
        """Return whether it has flown longer than anybody would wait for it."""
        return monotonic() > self.started + settings.MAX_WAIT

    def store(self, write: Callable[[], Any]) -> Any:
        """Return what `write` returns, or False if the flight was forgotten."""
        with self._storing:
            return False if self.stale else write()


class ThreadFlight(Flight):
    def __init__(self, storing: Lock) -> None:
        super().__init__(storing)
        self.pilot = get_ident()
        self.landed: Future[Any] = Future()

    @property
    def has_landed(self) -> bool:
        return self.landed.done()

    def wait(self, seconds: float) -> bool:
        """Return whether it landed in time, with a value or an error."""
        wait([self.landed], seconds)
        return self.landed.done() and not self.landed.cancelled()


class Lonely(Flight):
    """The load of one call: nobody joins it and no `forget` would reach it, so it stores nothing."""

    is_alone = True

    def __init__(self, *, is_limited: bool = False) -> None:
        super().__init__(Lock())
        self.stale, self.is_limited = True, is_limited


class LoopFlight(Flight):
    task: Task[Any] | None = None

    @property
    def has_landed(self) -> bool:
        return self.task is not None and self.task.done()


class Wait:
    """How long one call waits for the loads of others: until `deadline`, and as long again for who took it over."""

    def __init__(self, deadline: float) -> None:
        self._deadline, self._is_longer = deadline, False

    def left(self) -> float:
        """Return seconds, 0 or less if it must load alone."""
        return self._deadline - monotonic()

    def goes_on(self) -> bool:
        """Note that a load is taken over, by this call or by another; return whether it waits for that: once."""
        if self._is_longer:
            return False
        self._deadline, self._is_longer = monotonic() + settings.MAX_WAIT, True
        return True


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
        self._overdue: WeakSet[F] = WeakSet()  # a loop that is closed lands nothing
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
        self,
        place: Place,
        loop: AbstractEventLoop | None,
        view: View | None,
        patience: float | None,
    ) -> tuple[F, bool]:
        """Return a running flight and True, or a new one and False; without a view, always a new one.

        Raises `LoadTimedOut` if with the patience of this call too many have lost theirs, and their loads run on.
        """
        with self._lock:
            if view is None:
                self._forget(place)
            flight = self._flights.get((place, loop))
            if flight is not None and patience is not None and flight.is_hung:
                flight.stale, flight = True, None
            if flight is not None and view is not None and flight.may_take(view):
                return flight, True
            if patience is not None and len(self._overdue) >= settings.OVERDUE_LOADS:
                raise LoadTimedOut
            flight = self._kind(self._storing.setdefault(place, Lock()))
            self._flights[place, loop] = flight
            return flight, False

    def _leave(self, place: Place, loop: AbstractEventLoop | None, flight: F) -> None:
        with self._lock:
            if self._flights.get((place, loop)) is flight:
                del self._flights[place, loop]
        flight.stale = True

    def _land(self, place: Place, loop: AbstractEventLoop | None, flight: F) -> None:
        self._leave(place, loop, flight)
        with self._lock:
            self._overdue.discard(flight)

    def _is_overdue(self, flight: F) -> bool:
        """Note that a call has lost its patience; False if the flight has landed just now."""
        with self._lock:
            if flight.has_landed:
                return False
            self._overdue.add(flight)
            return True


class ThreadFlights(_Flights[ThreadFlight]):
    """The flights of synchronous functions: the first caller's thread loads."""

    def run(
        self,
        place: Place,
        load: Callable[[Flight], Any],
        view: View | None,
        deadline: float,
        patience: float | None = None,
    ) -> tuple[Any, bool]:
        """Return what `load` returns, and whether it was another call's, which it never is without a view.

        An error of the loader reaches all who wait. Who has waited until `deadline` loads for all who wait; for
        itself, if another does so and takes as long again. With `patience` (seconds) the load gets a thread of its own.
        """
        waits = Wait(deadline)
        while True:
            flight, joined = self._board(place, None, view, patience)
            if not joined and patience is None:
                return self._fly(place, flight, load), False
            if not joined:
                _start(partial(self._fly, place, flight, load))
            elif flight.pilot == get_ident():  # the loader calls itself: waiting would be for ever
                return load(Lonely()), False
            left = waits.left()
            if left <= 0 and patience is None:
                return load(Lonely(is_limited=True)), False
            if flight.wait(left if patience is None else patience):
                return flight.landed.result(), joined
            if patience is not None and self._is_overdue(flight):
                raise LoadTimedOut
            if not flight.has_landed:
                waits.goes_on()
            self._leave(place, None, flight)

    def _fly(self, place: Place, flight: ThreadFlight, load: Callable[[Flight], Any]) -> Any:
        flight.pilot = get_ident()
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
            self._land(place, None, flight)


class LoopFlights(_Flights[LoopFlight]):
    """The flights of coroutine functions: a task of its own loads, so that no caller's end ends it."""

    async def run(
        self,
        place: Place,
        load: Callable[[Flight], Coroutine[Any, Any, Any]],
        view: View | None,
        deadline: float,
        patience: float | None = None,
    ) -> tuple[Any, bool]:
        """Do as `ThreadFlights.run` does, among the tasks of one event loop."""
        loop, waits = asyncio.get_running_loop(), Wait(deadline)
        while True:
            flight, joined = self._board(place, loop, view, patience)
            if not joined:
                self._start(place, loop, flight, load)
            task = flight.task
            if task is None or task is asyncio.current_task():  # it calls itself
                return await load(Lonely()), False
            left = waits.left() if joined else None
            if left is not None and left <= 0 and patience is None:
                return await load(Lonely(is_limited=True)), False
            await asyncio.wait([task], timeout=left if patience is None else patience)
            if task.done() and (not joined or not task.cancelled()):
                return task.result(), joined
            if patience is not None and self._is_overdue(flight):
                raise LoadTimedOut
            if not task.done():
                waits.goes_on()
            self._leave(place, loop, flight)

    def _start(
        self,
        place: Place,
        loop: AbstractEventLoop,
        flight: LoopFlight,
        load: Callable[[Flight], Coroutine[Any, Any, Any]],
    ) -> None:
        def land(task: Task[Any]) -> None:
            self._land(place, loop, flight)
            if not task.cancelled():
                task.exception()  # seen, even if everybody who waited has gone

        flight.task = loop.create_task(load(flight))
        flight.task.add_done_callback(land)


def _start(job: Callable[[], Any]) -> None:
    context = copy_context()

    def run() -> None:
        with suppress(BaseException):  # those who wait are told
            in_own_thread(lambda: context.run(job))

    Thread(target=run, name="scalekit-cache-load", daemon=True).start()


thread_flights = ThreadFlights(ThreadFlight)
loop_flights = LoopFlights(LoopFlight)
