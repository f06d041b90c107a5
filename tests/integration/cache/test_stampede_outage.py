"""A cache that is gone, frozen or refuses: the site answers, soon and from the database, and nothing old is believed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

import pytest
import redis
from django.core.cache import caches

from scalekit.cache import MISSING, TooManyLoads, cached, invalidate_tags
from scalekit.cache.stampede.requests import Epoch
from scalekit.cache.store import Store, store_of
from scalekit.core.events import events

pytestmark = pytest.mark.servers

QUICK = {"SOCKET_TIMEOUT": 0.25, "SOCKET_CONNECT_TIMEOUT": 0.25}
WINDOW = 0.4
row = {"value": "old"}
runs: list[object] = []


@cached(ttl=60, tags=["rows"])
def load(argument):
    runs.append(argument)
    return row["value"]


@pytest.fixture
def server(scalekit_servers, settings):
    server = scalekit_servers.valkey("cache")
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": server.url,
            "OPTIONS": QUICK,
        }
    }
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = WINDOW
    settings.SCALEKIT_CACHE_STATISTICS = ""
    runs.clear()
    row["value"] = "old"
    return server


def other_process() -> Store:
    """Return what another process knows of the cache: nothing of ours."""
    return Store("default")


def wait_until(happened, seconds=10.0):
    deadline = monotonic() + seconds
    while not happened():
        assert monotonic() < deadline
        threading.Event().wait(0.02)


def recovered():
    load.peek("any")
    return not store_of("default").is_down


def test_ten_calls_to_a_frozen_cache_cost_one_time_out(server, settings):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    load(0)
    with server.frozen():
        started = monotonic()
        for n in range(10):
            load(n)
        first = monotonic() - started
        later = []
        for n in range(20):
            started = monotonic()
            load(n)
            later.append(monotonic() - started)
    assert first <= 0.5
    assert sorted(later)[10] <= 0.001


def test_an_invalidation_during_an_outage_reaches_the_cache_without_another_call(server):
    load(1)
    with server.frozen():
        invalidate_tags("rows")
        load.invalidate(1)
    wait_until(lambda: not store_of("default").debts)
    assert (
        caches["default"].client.get_client().get(store_of("default").made_key(load._key((1,), {})))
        is None
    )


def test_another_process_that_saw_the_outage_does_not_believe_what_was_there_before(server):
    load(1)
    with server.frozen():
        load.peek(
            1
        )  # this process has seen it; a third one has changed the row, and cannot say so yet
        row["value"] = "new"
    wait_until(recovered)
    assert load(1) == "new"


def test_what_was_filled_after_the_outage_is_believed(server):
    load(1)
    with server.frozen():
        load.peek(1)
    wait_until(recovered)
    load(1), load(1), load(1)
    assert runs == [1, 1]


def test_old_values_are_believed_again_when_all_others_have_had_their_say(server):
    load(1)
    with server.frozen():
        load.peek(1)
    wait_until(recovered)
    assert load.peek(1) is MISSING
    wait_until(lambda: load.peek(1) == "old")
    assert runs == [1]


def test_who_has_too_much_to_tell_gives_up_all_that_was_stored(server, monkeypatch):
    monkeypatch.setattr("scalekit.cache.debts._OWED", 3)
    load(1)
    neighbour = other_process()
    with server.frozen():
        for n in range(5):
            load.invalidate(n)
    wait_until(lambda: not store_of("default").debts)
    neighbour.fetch(["any"])
    entry = neighbour.fetch([neighbour.made_key(load._key((1,), {}))])
    assert entry is not None
    assert neighbour.believed_since > neighbour.now() - 10
    assert load.peek(1) is MISSING


def test_what_another_gives_up_while_this_process_distrusts_is_not_believed(server, settings):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0.3
    with server.frozen():
        load.peek(1)
    wait_until(recovered)
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    store = store_of("default")
    store._recovered()  # of an outage of which it will be suspicious for a minute
    load(1)
    assert load.peek(1) == "old"
    other_process().server.run(Epoch(store._epoch_key, True))
    store._next_question = 0.0
    assert load.peek(1) is MISSING


@pytest.mark.parametrize("how", ["down", "full"])
def test_loads_are_limited_while_the_cache_is_of_no_use(server, settings, how):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    settings.SCALEKIT_CACHE_LOADS_WHILE_DOWN = 2
    settings.SCALEKIT_CACHE_WAIT_WHILE_DOWN = 0.2
    gate, running, most = threading.Event(), [], []

    @cached(ttl=60, key=lambda n: n)
    def slow(n):
        running.append(n)
        most.append(len(running))
        gate.wait(10)
        running.remove(n)
        return n

    if how == "down":
        server.kill()
    else:
        caches["default"].client.get_client().config_set("maxmemory", "1")
    load(1)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(slow, n) for n in range(6)]
        wait_until(lambda: sum(call.done() for call in calls) == 4)
        gate.set()
        errors = [call.exception(10) for call in calls]
    assert sum(isinstance(error, TooManyLoads) for error in errors) == 4
    assert max(most) == 2


def test_a_load_inside_a_load_needs_no_second_slot(server, settings):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    settings.SCALEKIT_CACHE_LOADS_WHILE_DOWN = 1
    settings.SCALEKIT_CACHE_WAIT_WHILE_DOWN = 0.1

    @cached(ttl=60, key=lambda: 1)
    def outer():
        return load("inner")

    server.kill()
    load(1)
    assert outer() == "old"


def refuse(server, client, how):
    if how == "read only":
        client.replicaof("127.0.0.1", "1")
    elif how == "password":
        client.config_set("requirepass", "new")
        client.connection_pool.disconnect()
    elif how == "busy":
        client.config_set("busy-reply-threshold", "1")
        threading.Thread(target=_spin, args=(server.url,), daemon=True).start()
        wait_until(lambda: _is_busy(client))


def _spin(url):
    with redis.Redis.from_url(url, socket_timeout=60) as client, suppress(redis.RedisError):
        client.eval("while true do end", 0)


def _is_busy(client):
    try:
        client.ping()
    except redis.exceptions.RedisError:
        return True
    return False


@pytest.mark.parametrize("how", ["read only", "password", "busy"])
def test_a_cache_that_refuses_costs_no_answer_and_is_not_believed(server, settings, how):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 30
    client = caches["default"].client.get_client()
    load(1)
    refuse(server, client, how)
    row["value"] = "new"
    load.invalidate(1)
    started = monotonic()
    assert load(1) == "new"
    assert monotonic() - started <= 0.3
    started = monotonic()
    for n in range(20):
        load(n)
    assert monotonic() - started <= 0.1
    if how == "busy":
        client.script_kill()


def test_it_is_told_when_it_opens_and_closes(server):
    seen = []
    end = events["cache_breaker"].subscribe(lambda event, payload: seen.append(payload["state"]))
    load(1)
    with server.frozen():
        load(1)
    wait_until(recovered)
    end()
    assert seen == ["open", "closed"]
