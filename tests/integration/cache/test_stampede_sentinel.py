"""A primary that Sentinel replaces, in the middle of a load and with its last writes lost."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
import redis
from django.core.cache import caches
from django_redis.pool import ConnectionFactory

from scalekit.cache import cached, invalidate_tags
from scalekit.cache.clients import client_of_loop
from scalekit.cache.store import store_of
from scalekit.testing.servers.binaries import VALKEY

pytestmark = pytest.mark.servers

SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor cache {host} {primary} 1
sentinel down-after-milliseconds cache 300
sentinel failover-timeout cache 3000
"""
row = {"value": "old"}


@cached(ttl=60, tags=["rows"])
def load(n):
    return row["value"]


@pytest.fixture
def pair(scalekit_servers, settings, tmp_path):
    """Give a primary and its replica that a Sentinel watches."""
    primary, replica = (scalekit_servers.valkey(name) for name in ("primary", "replica"))
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof(primary.host, primary.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up")
    port = scalekit_servers.free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(SENTINEL.format(port=port, host=primary.host, primary=primary.port))
    scalekit_servers.process("sentinel", [VALKEY.find(), configuration, "--sentinel"], port=port)
    with redis.Redis(port=port) as sentinel:
        eventually(lambda: sentinel.sentinel_slaves("cache"))
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://cache/0",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "SENTINELS": [("127.0.0.1", port)],
                "SOCKET_TIMEOUT": 0.5,
                "SOCKET_CONNECT_TIMEOUT": 0.5,
            },
        }
    }
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0.3
    settings.SCALEKIT_CACHE_STATISTICS = ""
    ConnectionFactory._pools.clear()  # kept by URL, which does not say which Sentinel
    row["value"] = "old"
    yield primary, replica
    ConnectionFactory._pools.clear()


def eventually(happened, seconds=20.0):
    deadline = monotonic() + seconds
    while not happened():
        assert monotonic() < deadline
        sleep(0.05)


def fail_over(primary, replica):
    """Kill the primary; return when the replica has its place and this process uses it."""
    primary.kill()
    with redis.Redis.from_url(replica.url) as client:
        eventually(lambda: client.info("replication")["role"] == "master")
    eventually(lambda: load.peek("any") is not None and not store_of("default").is_down)


def test_a_load_during_a_failover_keeps_nothing_and_the_site_answers(pair):
    read, gate = threading.Event(), threading.Event()

    @cached(ttl=60, key=lambda: 1)
    def slow():
        value = row["value"]
        read.set()
        gate.wait(30)
        return value

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(slow)
        assert read.wait(10)
        pair[0].kill()
        row["value"] = "new"
        assert load(1) == "new"
        slow.invalidate()
        with redis.Redis.from_url(pair[1].url) as client:
            eventually(lambda: client.info("replication")["role"] == "master")
        eventually(lambda: load.peek("any") is not None and not store_of("default").is_down)
        gate.set()
        assert reader.result(10) == "old"
    assert slow() == "new"


def test_a_failover_that_loses_the_last_invalidations_brings_nothing_old_back(pair):
    primary, replica = pair
    load(1)
    with redis.Redis.from_url(replica.url) as client:
        eventually(lambda: client.dbsize() >= 2)
        client.replicaof("no", "one")  # hears no more, and is promoted as it is
        client.replicaof("127.0.0.1", "1")
    row["value"] = "new"
    invalidate_tags("rows")
    assert load(1) == "new"
    primary.kill()
    load(1)  # notices
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("no", "one")
    eventually(lambda: load.peek("any") is not None and not store_of("default").is_down)
    assert load(1) == "new"


def test_a_write_may_wait_until_a_replica_has_it(pair, settings):
    settings.SCALEKIT_CACHE_REPLICAS = 1
    store = store_of("default")
    with redis.Redis.from_url(pair[1].url) as client:
        assert store.hold([":1:name"], 30, holder="writer")
        assert client.get(":1:name").startswith(b"H")
        store.release([":1:name"], holder="writer", changed=True)
        assert client.get(":1:name") is None
        assert caches["default"].get("name") is None


def cut_off(primary, replica):
    """Let Sentinel take the replica for the primary, while the old one answers whoever asks it still."""
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("no", "one")
        client.set("where", "new")
    with redis.Redis.from_url(primary.url) as client:
        client.set("where", "old")
    (sentinel,) = caches["default"].client._options["SENTINELS"]
    with redis.Redis(*sentinel) as client:
        client.sentinel_remove("cache")
        client.sentinel_monitor("cache", replica.host, replica.port, 1)


def test_no_thread_goes_on_reading_a_primary_that_another_connection_has_left(pair):
    store = store_of("default")
    store.fetch(["where"])
    place = store.server.place
    cut_off(*pair)
    assert store.fetch(["where"]) == [b"old"]
    store.server.client.connection_pool.get_master_address()  # as each new connection does
    assert store.fetch(["where"]) == [b"new"]
    assert store.server.place != place


def test_no_task_goes_on_reading_a_primary_that_another_connection_has_left(pair):
    store = store_of("default")

    async def scene():
        await store.afetch(["where"])
        place = store.server.place
        cut_off(*pair)
        client = await client_of_loop(store.server.client)
        await client.connection_pool.get_master_address()
        assert await store.afetch(["where"]) == [b"new"]
        assert store.server.place != place

    asyncio.run(scene())
    asyncio.run(store.afetch(["where"]))
    with redis.Redis.from_url(pair[1].url) as client:
        eventually(lambda: len(client.client_list()) <= 3)  # none of the loops'
