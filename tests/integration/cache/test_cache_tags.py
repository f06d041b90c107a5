"""Tags on a real Valkey: one write, however many values carry them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.cache import caches

from scalekit.cache import MISSING, ainvalidate_tags, cached, invalidate_tags
from tests.cache.shop.database import valkey_cache

pytestmark = pytest.mark.servers

MILLION = 1_000_000
CLONES = """
local entry = redis.call('GET', KEYS[1])
for number = ARGV[1], ARGV[2] do redis.call('SET', KEYS[1] .. ':' .. number, entry) end
"""
truth = {"value": 0}
loads: list[int] = []


@cached(ttl=600, tags=lambda number: [f"number:{number}", "all"])
def kept(number):
    loads.append(number)
    return [number, truth["value"]]


@cached(ttl=600, tags=["all"])
async def kept_async(number):
    loads.append(number)
    return [number, truth["value"]]


@pytest.fixture
def server(valkey, settings):
    settings.CACHES = {"default": valkey_cache(valkey.url)}
    caches["default"].clear()
    truth["value"] = 0
    loads.clear()
    with redis.Redis.from_url(valkey.url) as client:
        yield client
        client.flushall()


def test_a_tag_ends_all_its_values_and_no_other(server):
    kept(1), kept(2)
    invalidate_tags("number:1")
    assert kept.peek(1) is MISSING
    assert kept.peek(2) == [2, 0]
    invalidate_tags("all")
    assert kept.peek(2) is MISSING


def test_a_tag_ends_values_of_async_functions(server):
    async def through():
        await kept_async(1)
        truth["value"] = 1
        await ainvalidate_tags("all")
        return await kept_async(1)

    assert async_to_sync(through)() == [1, 1]


def test_a_load_that_began_before_the_tag_ended_is_not_kept(server):
    begun, go_on = threading.Event(), threading.Event()

    @cached(ttl=600, tags=["raced"], key=lambda: 1)
    def slow():
        found = truth["value"]
        if not go_on.is_set():
            begun.set()
            assert go_on.wait(20)
        return found

    with ThreadPoolExecutor(1) as executor:
        reader = executor.submit(slow)
        assert begun.wait(20)
        truth["value"] = 1
        invalidate_tags("raced")
        go_on.set()
        assert reader.result(20) == 0
    assert slow() == slow.peek() == 1


def test_a_stamp_that_was_evicted_ends_its_values(server):
    kept(1)
    stamps = list(server.scan_iter("*tag:all"))
    assert len(stamps) == 1
    server.delete(*stamps)
    truth["value"] = 1
    assert kept(1) == [1, 1]
    invalidate_tags("all")
    assert kept(1) == [1, 1]
    assert loads == [1, 1, 1]


def test_a_tag_of_a_million_values_ends_by_one_write(server):
    for number in range(100):
        kept(number)
    entry = next(key for key in server.scan_iter("*kept*") if server.get(key)[:1] == b"V")
    clone = server.register_script(CLONES)
    for first in range(0, MILLION, MILLION // 10):  # none so long that the server calls itself busy
        clone([entry], [first, first + MILLION // 10 - 1])
    assert server.dbsize() > MILLION
    before, began = commands(server), perf_counter()
    invalidate_tags("all")
    took, written = perf_counter() - began, commands(server) - before
    assert written < 10  # the script, what it calls, and INFO itself
    assert took < 0.25
    assert all(kept.peek(number) is MISSING for number in range(100))


def commands(server):
    return server.info("stats")["total_commands_processed"]
