"""The connections of event loops: closed with their loop, waited for when all are in use."""

from __future__ import annotations

import asyncio

import pytest
import redis
from django.core.cache import caches
from django_redis.pool import ConnectionFactory

from scalekit.cache import cached, clients
from scalekit.cache.store import store_of
from scalekit.core.events import events

pytestmark = pytest.mark.servers


@cached(ttl=60)
async def load(n):
    return n


@pytest.fixture(autouse=True)
def on_valkey(valkey, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": valkey.url,
            "OPTIONS": {
                "SOCKET_TIMEOUT": 5,
                "SOCKET_CONNECT_TIMEOUT": 5,
                "CONNECTION_POOL_KWARGS": {"max_connections": 8},
            },
        }
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    ConnectionFactory._pools.clear()  # kept by URL, which does not say how many
    caches["default"].clear()
    yield
    ConnectionFactory._pools.clear()


@pytest.fixture
def heard():
    """Collect the payloads of an event from now on."""
    undo = []

    def listen(name):
        payloads = []
        undo.append(events[name].subscribe(lambda event, payload: payloads.append(payload)))
        return payloads

    yield listen
    for end in undo:
        end()


def test_a_loop_that_ends_leaves_no_connection_and_no_memory_of_it(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        asyncio.run(load(1))
        before = len(client.client_list())
        for _ in range(20):
            assert asyncio.run(load(1)) == 1
        assert len(client.client_list()) <= before
    assert not clients._twins


def test_a_loop_that_was_closed_without_a_word_is_forgotten_by_the_next():
    loop = asyncio.new_event_loop()
    loop.close()
    clients._twins[loop] = {}
    asyncio.run(load(1))
    assert not clients._twins


def test_more_tasks_than_connections_are_no_outage(heard, monkeypatch):
    monkeypatch.setattr("scalekit.cache.loop_pools._PATIENCE", 5)  # on a busy machine
    failed = heard("cache_failed")

    async def scene():
        await load(1)
        hits = heard("cache_read")
        await asyncio.gather(*(load(1) for _ in range(300)))
        return {event["result"] for event in hits}

    assert asyncio.run(scene()) == {"hit"}
    assert not failed
    assert not store_of("default").is_down


def test_a_pool_that_stays_full_opens_no_breaker(heard, monkeypatch):
    monkeypatch.setattr("scalekit.cache.loop_pools._PATIENCE", 0.05)
    failed = heard("cache_failed")

    async def scene():
        await load(1)
        pool = (await clients.client_of_loop(store_of("default").server.client)).connection_pool
        clients.twin_if_any(store_of("default").server.client).reads._kept.clear()
        while pool.can_get_connection():
            await pool.get_connection()
        return await load(1)

    assert asyncio.run(scene()) == 1
    assert failed
    assert not store_of("default").is_down


def test_more_threads_than_connections_open_no_breaker():
    pool = store_of("default").server.client.connection_pool
    taken = [pool.get_connection() for _ in range(8)]
    try:
        assert store_of("default").fetch([":1:k"]) is None
        assert not store_of("default").is_down
    finally:
        for connection in taken:
            pool.release(connection)
