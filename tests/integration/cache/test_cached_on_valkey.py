"""`@cached` on a real Valkey that is shared, killed, frozen, filled with garbage."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from django.core.cache import caches

from scalekit.cache import MISSING, cached
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers

BACKENDS = {
    "django_redis.cache.RedisCache": {"SOCKET_TIMEOUT": 0.25, "SOCKET_CONNECT_TIMEOUT": 0.25},
    "django.core.cache.backends.redis.RedisCache": {
        "socket_timeout": 0.25,
        "socket_connect_timeout": 0.25,
    },
}
runs: list[object] = []


@cached(ttl=60)
def load(argument):
    runs.append(argument)
    return {"argument": argument}


@pytest.fixture(autouse=True)
def no_runs():
    runs.clear()


def use(settings, url: str, backend: str = "django_redis.cache.RedisCache") -> None:
    config = {"BACKEND": backend, "LOCATION": url, "OPTIONS": dict(BACKENDS[backend])}
    settings.CACHES = {"default": config}
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0.5


def timed(function, *args) -> float:
    started = monotonic()
    function(*args)
    return monotonic() - started


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_are_there_and_end(valkey, settings, backend):
    use(settings, valkey.url, backend)
    caches["default"].clear()
    assert load(1) == load(1) == {"argument": 1}
    load(None)
    assert runs == [1, None]
    load.invalidate(1)
    assert load.peek(1) is MISSING
    assert load.many([1, None, 2]) == [{"argument": n} for n in (1, None, 2)]
    assert runs == [1, None, 1, 2]


def test_lifetimes_reach_the_server(valkey, settings):
    use(settings, valkey.url)
    caches["default"].clear()
    load("ttl")
    (ttl,) = [caches["default"].ttl(key) for key in caches["default"].keys("*")]
    assert 54 <= ttl <= 60


def test_a_dead_cache_costs_nobody_an_answer(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    load(1)
    server.kill()
    assert load(1) == {"argument": 1}
    assert timed(load, 2) < 0.05
    server.start()
    threading.Event().wait(0.6)
    load(3), load(3)
    assert runs == [1, 1, 2, 3]


def test_a_frozen_cache_costs_one_time_out_a_window(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    load(0)
    with server.frozen():
        assert 0.2 < timed(load, 1) < 0.5
        assert sum(timed(load, n) for n in range(2, 22)) < 0.1
    assert len(runs) == 22


def test_a_thawed_cache_is_used_again(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    load(0)
    with server.frozen():
        load(1)
    assert store_of("default").is_down
    threading.Event().wait(0.6)
    assert load(2) == load(2) == {"argument": 2}
    assert not store_of("default").is_down
    assert runs == [0, 1, 2]


def test_what_was_invalidated_while_frozen_is_not_believed_afterwards(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    load(1)
    with server.frozen():
        load.invalidate(1)
    threading.Event().wait(0.6)
    assert load.peek(1) is MISSING


def by_tenant(key, prefix, version):
    return f"{tenant[0]}:{prefix}:{version}:{key}"


tenant = ["one"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tenant_s_debt_is_paid_by_another(scalekit_servers, settings, backend):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url, backend)
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_FUNCTION": by_tenant}}
    load(1)
    with server.frozen():
        load(2)  # opens the breaker: what comes next is not even sent
        load.invalidate(1)
    threading.Event().wait(0.6)
    tenant[0] = "other"
    load(3)
    tenant[0] = "one"
    assert caches["default"].get(load._key((1,), {})) is None


def test_threads_that_meet_a_dead_cache_still_load_once(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    server.kill()
    entered, gate = threading.Event(), threading.Event()

    @cached(key=lambda: 1)
    def slow():
        runs.append(1)
        entered.set()
        assert gate.wait(10)

    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(slow) for _ in range(20)]
        assert entered.wait(10)
        threading.Event().wait(0.5)
        gate.set()
        for call in calls:
            call.result(10)
    assert runs == [1]


@pytest.mark.parametrize("garbage", [b"", b"\x80\x05truncated", b"!", b"7", b"\x00" * 100])
def test_garbage_on_the_server_is_a_miss(valkey, settings, garbage):
    use(settings, valkey.url)
    cache = caches["default"]
    key = cache.make_key(load._key(("g",), {}))
    client = cache.client.get_client()
    client.set(str(key), garbage)
    assert load("g") == load("g") == {"argument": "g"}
    assert runs == ["g"]
    load.invalidate("g")


def test_a_key_of_another_type_on_the_server_is_no_outage(valkey, settings):
    use(settings, valkey.url)
    cache = caches["default"]
    client = cache.client.get_client()
    client.rpush(str(cache.make_key(load._key(("list",), {}))), "x")
    assert load("list") == {"argument": "list"}
    assert not store_of("default").is_down


def test_a_full_cache_still_answers_hits(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    use(settings, server.url)
    load(1)
    caches["default"].client.get_client().config_set("maxmemory", "1")
    assert load(2) == {"argument": 2}
    assert load(1) == {"argument": 1}
    assert runs == [1, 2]


def test_a_forked_process_waits_for_its_parent_as_for_any_other(valkey, settings):
    use(settings, valkey.url)
    caches["default"].clear()
    entered, gate = threading.Event(), threading.Event()

    @cached(key=lambda: "fork")
    def slow():
        runs.append(os.getpid())
        entered.set()
        gate.wait(10)
        return "loaded"

    with ThreadPoolExecutor(1) as pool:
        pool.submit(slow)
        assert entered.wait(10)
        child = os.fork()
        if child == 0:  # the parent's threads and locks do not exist here
            signal.alarm(10)
            os._exit(0 if slow() == "loaded" and runs == [os.getppid()] else 1)
        gate.set()
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
