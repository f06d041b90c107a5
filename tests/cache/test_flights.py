"""How long calls wait for a load that does not end, and how many load then."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from scalekit.cache import LoadTimedOut, TooManyLoads, cached
from scalekit.cache.flights import View, loop_flights, thread_flights


class Loads:
    """A function whose first loads hang until they are told to end."""

    def __init__(self, hung):
        self.hung, self.begun, self.end = hung, 0, threading.Event()

    def __call__(self, argument=None):
        self.begun += 1
        if self.begun <= self.hung:
            self.end.wait(20)
        return argument


@pytest.fixture
def hanging():
    made = []

    def make(hung, **options):
        loads = Loads(hung)
        made.append(loads)
        return loads, cached(key=lambda argument=None: (id(loads), argument), **options)(
            lambda argument=None: loads(argument)
        )

    yield make
    for loads in made:
        loads.end.set()


def wait_until(happened):
    deadline = monotonic() + 10
    while not happened():
        assert monotonic() < deadline
        threading.Event().wait(0.01)


def test_one_of_those_who_wait_takes_a_hung_load_over(hanging, settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.3
    gate = threading.Event()
    loads, _ = hanging(1)

    def slow_second(argument=None):
        loads(argument)
        gate.wait(0.2)
        return argument

    load = cached(key=lambda argument=None: id(gate))(slow_second)
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(load) for _ in range(20)]
        wait_until(lambda: sum(call.done() for call in calls) == 19)
        assert loads.begun == 2
        loads.end.set()


def test_who_has_waited_twice_loads_alone_and_not_all_at_once(hanging, settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.2
    settings.SCALEKIT_CACHE_LOADS_WHILE_DOWN = 2
    settings.SCALEKIT_CACHE_WAIT_WHILE_DOWN = 0.2
    loads, load = hanging(99)
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(load) for _ in range(12)]
        wait_until(lambda: sum(call.done() for call in calls) == 7)
        assert loads.begun == 5  # the first, who took it over, who took that over, and two alone
        loads.end.set()
        errors = [call.exception(10) for call in calls]
    assert sum(isinstance(error, TooManyLoads) for error in errors) == 7


def test_tasks_take_a_hung_load_over_as_threads_do(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.3
    begun = []

    async def scene():
        end = asyncio.Event()

        @cached(key=lambda: id(end))
        async def load():
            begun.append(1)
            await (asyncio.sleep(0.1) if len(begun) > 1 else end.wait())

        calls = [asyncio.create_task(load()) for _ in range(20)]
        await asyncio.wait(calls, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.3)
        end.set()
        await asyncio.gather(*calls)

    asyncio.run(scene())
    assert len(begun) == 2


def test_loads_that_outlive_their_timeout_are_bounded(hanging, settings):
    settings.SCALEKIT_CACHE_OVERDUE_LOADS = 3
    loads, load = hanging(99, timeout=0.02)
    for argument in range(10):
        with pytest.raises(LoadTimedOut):
            load(argument)
    assert loads.begun == 3
    loads.end.set()
    wait_until(lambda: not thread_flights._overdue)
    assert load(11) == 11


def test_loads_of_tasks_that_outlive_their_timeout_are_bounded(settings):
    settings.SCALEKIT_CACHE_OVERDUE_LOADS = 3
    begun = []

    @cached(key=lambda n: n, timeout=0.02)
    async def load(n):
        begun.append(n)
        await asyncio.sleep(20)

    async def scene():
        for n in range(10):
            with pytest.raises(LoadTimedOut):
                await load(n)

    asyncio.run(scene())
    assert len(begun) == 3
    assert not loop_flights._overdue


def test_a_load_that_hangs_is_not_joined_for_ever(hanging, settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.2
    loads, load = hanging(1, timeout=0.1)

    def answers():
        try:
            return load("value") == "value"
        except LoadTimedOut:
            return False

    wait_until(answers)
    assert loads.begun == 2


def test_a_call_without_a_view_waits_for_nobody():
    flight, joined = thread_flights._board(("alias", "key"), None, None, None)
    assert not joined
    assert thread_flights._board(("alias", "key"), None, View(), None) == (flight, True)
    thread_flights.forget(("alias", "key"))
