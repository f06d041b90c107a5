"""Coroutine functions on a real Valkey: natively on their loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import caches

from scalekit.cache import aget_or_compute, cached, invalidate_tags
from scalekit.cache.flights import loop_flights
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers

runs: list[object] = []
row = {"value": "old"}


@cached(ttl=60, tags=["rows"])
async def load(argument):
    runs.append(argument)
    await asyncio.sleep(0.05)
    return row["value"]


@cached(ttl=60, key=lambda n: n)
def load_in_thread(n):
    runs.append(n)
    return row["value"]


@pytest.fixture(autouse=True)
def on_valkey(valkey, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": valkey.url,
            "OPTIONS": {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
        }
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    caches["default"].clear()
    runs.clear()
    row["value"] = "old"


async def started() -> None:
    while not runs:  # noqa: ASYNC110 - the loader knows no loop
        await asyncio.sleep(0.001)


def runs_in_a_loop(test):
    def run():
        asyncio.run(asyncio.wait_for(test(), 20))

    run.__name__ = test.__name__
    return run


@runs_in_a_loop
async def test_many_tasks_load_once():
    assert set(await asyncio.gather(*(load(1) for _ in range(50)))) == {"old"}
    assert await load(1) == "old"
    assert runs == [1]


def test_a_hit_needs_no_thread(monkeypatch):
    async def scene():
        await load(1)
        monkeypatch.setattr(ThreadPoolExecutor, "submit", None)  # of which sync_to_async is made
        return await load(1)

    assert asyncio.run(scene()) == "old"
    assert runs == [1]


def test_two_loops_share_a_load_and_each_closes_its_connections():
    with ThreadPoolExecutor(2) as pool:
        values = [pool.submit(async_to_sync(load), 1) for _ in range(2)]
        assert {value.result(10) for value in values} == {"old"}
    assert runs == [1]


@runs_in_a_loop
async def test_an_invalidation_during_a_load_keeps_its_value_out():
    slow = asyncio.create_task(load(1))
    await started()
    row["value"] = "new"
    await load.invalidate(1)
    await slow
    assert await load(1) == "new"


@runs_in_a_loop
async def test_a_tag_ends_it():
    await load(1)
    row["value"] = "new"
    await sync_to_async(invalidate_tags)("rows")
    assert await load(1) == "new"


@runs_in_a_loop
async def test_a_cancelled_load_leaves_no_lease():
    task = asyncio.create_task(load(1))
    await started()
    for flight in list(loop_flights._flights.values()):
        flight.task.cancel()
    await asyncio.wait([task])
    key = store_of("default").made_key(load._key((1,), {}))
    assert (await store_of("default").afetch([key]))[0] is None
    assert await asyncio.wait_for(load(1), 1) == "old"


def test_a_synchronous_function_in_an_async_view_and_the_other_way_round():
    async def view():
        return await sync_to_async(load_in_thread)(1), await load(2)

    assert asyncio.run(view()) == ("old", "old")
    assert (load_in_thread(1), async_to_sync(load)(2)) == ("old", "old")
    assert runs == [1, 2]


def test_a_synchronous_function_called_on_the_loop_itself_works_too():
    async def view():
        return load_in_thread(1)

    assert asyncio.run(view()) == "old"


@runs_in_a_loop
async def test_computed_values():
    async def compute():
        runs.append("computed")
        return 1

    assert [await aget_or_compute("k", compute), await aget_or_compute("k", compute)] == [1, 1]
    assert runs == ["computed"]


@runs_in_a_loop
async def test_many_reads_all_at_once():
    async def load_all(arguments):
        runs.append(list(arguments))
        return {n: n * 10 for n in arguments}

    @cached(ttl=60, key=lambda n: n, many=load_all)
    async def tenfold(n):
        return n * 10

    await tenfold(2)
    assert await tenfold.many([1, 2, 3, 1]) == [10, 20, 30, 10]
    assert await tenfold.many([1, 2, 3]) == [10, 20, 30]
    assert runs == [[1, 3]]


@runs_in_a_loop
async def test_a_stale_value_is_served_while_a_task_loads_the_new_one():
    @cached(ttl=1, stale=60, jitter=0, key=lambda: 1)
    async def page():
        runs.append(1)
        return len(runs)

    assert await page() == 1
    await asyncio.sleep(1.1)
    assert await page() == 1
    while await page.peek() == 1:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.01)
    assert await page() == 2


def test_a_frozen_cache_costs_one_time_out(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    options = {"SOCKET_TIMEOUT": 0.25, "SOCKET_CONNECT_TIMEOUT": 0.25}
    default = {**settings.CACHES["default"], "LOCATION": server.url, "OPTIONS": options}
    settings.CACHES = {"default": default}
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30

    async def scene():
        await load_quickly(0)
        with server.frozen():
            return await asyncio.wait_for(
                asyncio.gather(*(load_quickly(n) for n in range(10))), 0.6
            )

    @cached(ttl=60, key=lambda n: n)
    async def load_quickly(n):
        return n

    assert asyncio.run(scene()) == list(range(10))


def test_a_loop_that_ends_in_the_middle_of_a_load_leaves_no_lease():
    async def scene():
        task = asyncio.create_task(load(1))
        await started()
        del task

    asyncio.run(scene())
    assert async_to_sync(load)(1) == "old"
    assert runs == [1, 1]
