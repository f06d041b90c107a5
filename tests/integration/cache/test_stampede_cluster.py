"""Three primaries of a cluster: an entry and its tags are on any of them."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
import redis
from django.core.cache import caches

from scalekit.cache import cached, invalidate_tags
from scalekit.cache.backends import cluster
from scalekit.cache.stampede.writing import Release
from scalekit.cache.store import store_of
from scalekit.testing.servers import Topology
from scalekit.testing.servers.binaries import VALKEY

pytestmark = pytest.mark.servers

CONFIGURATION = """\
bind 127.0.0.1
port {port}
cluster-port {bus}
cluster-enabled yes
cluster-config-file {folder}/nodes-{port}.conf
cluster-node-timeout 2000
dir {folder}
save ""
"""
SLOTS = [(0, 5460), (5461, 10922), (10923, 16383)]
runs: list[object] = []
row = {"value": "old"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with Topology() as topology:
        ports = []
        for number, slots in enumerate(SLOTS):
            port, bus = topology.free_port(), topology.free_port()
            path = folder / f"{port}.conf"
            path.write_text(CONFIGURATION.format(port=port, bus=bus, folder=folder))
            topology.process(f"node_{number}", [VALKEY.find(), path], port=port)
            with redis.Redis(port=port) as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
                for other, other_bus in ports:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", other, other_bus)
            ports.append((port, bus))
        for port, _ in ports:
            wait_until_whole(port)
        yield [port for port, _ in ports]
        cluster._clusters.clear()


def wait_until_whole(port):
    deadline = monotonic() + 20
    with redis.Redis(port=port) as client:
        while True:
            info = client.execute_command("CLUSTER INFO")
            if info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3":
                return
            assert monotonic() < deadline
            sleep(0.05)


@pytest.fixture(autouse=True)
def on_cluster(nodes, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "scalekit.cache.backends.cluster.ClusterCache",
            "LOCATION": [f"redis://127.0.0.1:{port}" for port in nodes],
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
        }
    }
    settings.SCALEKIT_CACHE_STATISTICS = ""
    caches["default"].clear()
    runs.clear()
    row["value"] = "old"


@cached(ttl=60, tags=lambda n: ["all", f"n:{n}", f"m:{n}"], key=lambda n: n)
def load(n):
    runs.append(n)
    return row["value"]


@cached(ttl=60, tags=["all", "b", "c"], key=lambda n: n)
async def aload(n):
    runs.append(n)
    return row["value"]


def test_it_is_a_cache_of_django_s():
    cache = caches["default"]
    assert cache.set_many({f"k{n}": n for n in range(50)}) == []
    assert cache.get_many([f"k{n}" for n in range(51)]) == {f"k{n}": n for n in range(50)}
    cache.delete_many([f"k{n}" for n in range(25)])
    assert len(cache.get_many([f"k{n}" for n in range(50)])) == 25
    assert cache.get_many([]) == {}
    cache.clear()
    assert cache.get("k49") is None


def test_entries_and_tags_of_all_slots():
    for _ in range(2):
        assert [load(n) for n in range(40)] == ["old"] * 40
    assert len(runs) == 40
    row["value"] = "new"
    invalidate_tags(*(f"n:{n}" for n in range(20)))
    assert [load(n) for n in range(40)] == ["new"] * 20 + ["old"] * 20


def test_many_of_all_slots():
    assert load.many(range(40)) == ["old"] * 40
    assert load.many(range(41)) == ["old"] * 41
    assert len(runs) == 41


def test_holds_of_names_of_all_slots_in_one_call():
    store = store_of("default")
    names = [store.made_key(load._key((n,), {})) for n in range(20)]
    load.many(range(20))
    assert store.hold(names, 30, holder="writer")
    row["value"] = "new"
    assert load(3) == "new"
    store.release(names, holder="writer", changed=True, facts={"n": 1})
    assert load.many(range(20)) == ["new"] * 20


def test_a_load_that_raced_an_invalidation_is_not_kept():
    read, gate = threading.Event(), threading.Event()

    @cached(ttl=60, tags=["raced"], key=lambda: 1)
    def slow():
        value = row["value"]
        read.set()
        gate.wait(10)
        return value

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(slow)
        assert read.wait(10)
        row["value"] = "new"
        names = [store_of("default").made_key("scalekit:tag:raced")]
        store_of("default").run("invalidate", Release(tuple(names), "", True))
        gate.set()
        assert reader.result(10) == "old"
    assert slow() == "new"


def test_on_an_event_loop():
    async def scene():
        values = await asyncio.gather(*(aload(n % 20) for n in range(60)))
        await aload.invalidate(3)
        row["value"] = "new"
        return values, await aload(3), await aload.many([1, 3, 30])

    values, one, many = asyncio.run(scene())
    assert values == ["old"] * 60
    assert one == "new"
    assert many == ["old", "new", "new"]
    assert len(runs) == 22


def test_a_cluster_that_is_gone_costs_no_answer(settings):
    default = {**settings.CACHES["default"], "LOCATION": ["redis://127.0.0.1:1"]}
    settings.CACHES = {"default": default}
    assert load(1) == "old"
    assert store_of("default").is_down


def test_threads_that_find_a_frozen_cluster_wait_for_one_look_together(settings):
    with socket.create_server(("127.0.0.1", 0)) as hangs:  # accepts, and never answers
        default = {
            **settings.CACHES["default"],
            "LOCATION": [f"redis://127.0.0.1:{hangs.getsockname()[1]}"],
            "OPTIONS": {"socket_connect_timeout": 0.3, "socket_timeout": 0.3},
        }
        settings.CACHES = {"default": default}
        looks = []
        real, all_ask = cluster._connect, threading.Barrier(16)

        def look(*arguments):
            looks.append(1)
            return real(*arguments)

        def ask():
            all_ask.wait(10)
            with pytest.raises((redis.RedisError, redis.exceptions.RedisClusterException)):
                caches["default"].redis_client()

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(16) as pool:
            patch.setattr(cluster, "_connect", look)
            for asked in [pool.submit(ask) for _ in range(16)]:
                asked.result(30)
    assert len(looks) <= 3  # those who came late may look once more
