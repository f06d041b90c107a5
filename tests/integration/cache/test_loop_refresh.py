"""Coroutine functions whose values are loaded again while the old ones are served."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic, sleep

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import caches

from scalekit.cache import cached, reading
from scalekit.cache.stampede.background import Background

pytestmark = pytest.mark.servers

runs: list[object] = []
endless: list[int] = []  # the runs, by number, that end with their loop only


@pytest.fixture(params=["valkey", "locmem"])
def server(request, settings):
    settings.SCALEKIT_CACHE_STATISTICS = ""
    if request.param == "valkey":
        valkey = request.getfixturevalue("valkey")
        settings.CACHES = {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": valkey.url,
                "OPTIONS": {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
            }
        }
    caches["default"].clear()
    runs.clear()
    endless.clear()


def eventually(happened, seconds=20.0):
    deadline = monotonic() + seconds
    while not happened():
        assert monotonic() < deadline
        sleep(0.01)


def where_queries_run():
    return threading.current_thread().name


@cached(ttl=1, stale=60, jitter=0, key=lambda: 1)
async def page():
    runs.append(await sync_to_async(where_queries_run)())
    if len(runs) in endless:
        await asyncio.Event().wait()
    return len(runs)


def test_a_request_that_ends_before_its_refresh_leaves_it_to_a_thread(server):
    call = async_to_sync(page)
    assert call() == 1
    sleep(1.05)
    assert call() == 1
    eventually(lambda: async_to_sync(page.peek)() == 2)
    assert runs[-1] == "scalekit-cache-refresh"
    eventually(lambda: not reading._refreshing)


def test_a_refresh_that_the_end_of_its_loop_interrupts_is_done_by_a_thread(server):
    async def scene():
        stale = await page()
        while len(runs) == 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        return stale

    endless.append(2)
    asyncio.run(page())
    sleep(1.05)
    started = monotonic()
    assert asyncio.run(scene()) == 1
    eventually(lambda: async_to_sync(page.peek)() == 3)
    assert monotonic() - started < 3  # it has left no claim
    assert runs[-1] == "scalekit-cache-refresh"
    eventually(lambda: not reading._refreshing)


@cached(ttl=1, stale=60, jitter=0, timeout=5, key=lambda: 1)
async def patient():
    runs.append(1)
    return len(runs)


def test_a_request_that_may_wait_gets_what_the_thread_brings(server):
    assert async_to_sync(patient)() == 1
    sleep(1.05)
    assert async_to_sync(patient)() == 2


def test_one_loop_refreshes_no_more_at_once_than_the_setting_says(server, settings):
    settings.SCALEKIT_CACHE_REFRESH_THREADS = 2
    running, most = set(), []

    @cached(ttl=1, stale=60, jitter=0, key=lambda n: n)
    async def slow(n):
        runs.append(n)
        running.add(n)
        most.append(len(running))
        await asyncio.sleep(0.1 if len(runs) > 8 else 0)
        running.discard(n)
        return len(runs)

    async def scene():
        for n in range(8):
            await slow(n)
        most.clear()
        await asyncio.sleep(1.05)
        deadline = monotonic() + 30
        while left := set(range(8)) - set(runs[8:]):  # what is refreshed may be due again by now
            assert monotonic() < deadline
            await asyncio.gather(*(slow(n) for n in left))
            await asyncio.sleep(0.01)
        while running:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)

    asyncio.run(scene())
    assert max(most) == 2


def test_nothing_that_a_job_does_ends_a_thread_for_good(settings):
    settings.SCALEKIT_CACHE_REFRESH_THREADS = 1
    background, done = Background(), threading.Event()

    def leaves(error):
        raise error

    for error in (SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()):
        assert background.submit(lambda error=error: leaves(error))
    assert background.submit(done.set)
    assert done.wait(10)


def test_an_error_of_a_job_is_told_and_ends_no_thread(settings, monkeypatch):
    settings.SCALEKIT_CACHE_REFRESH_THREADS = 1
    background, done, told = Background(), threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    background.submit(lambda: 1 / 0)
    background.submit(done.set)
    assert done.wait(10)
    assert told == [ZeroDivisionError]
