"""Values that are loaded again while the old ones are served."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep, time

import pytest
from django.core.cache import caches

from scalekit.cache import MISSING, LoadTimedOut, cached, clock, invalidate_tags, reading
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers

runs: list[object] = []
gate = threading.Event()
outcome: list[object] = ["first"]


def answer():
    runs.append(outcome[0])
    assert gate.wait(10)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


@cached(ttl=1, stale=60, jitter=0, tags=["pages"], key=lambda: 1)
def page():
    return answer()


@cached(ttl=1, stale=60, jitter=0, timeout=0.5, key=lambda: 1)
def patient():
    return answer()


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
    outcome[0] = "first"
    gate.set()
    yield request.param
    gate.set()


def grow_stale(function):
    assert function() == "first"
    sleep(1.05)
    outcome[0] = "second"


def eventually(happened):
    deadline = monotonic() + 10
    while not happened():
        assert monotonic() < deadline
        sleep(0.01)


def test_nobody_waits_for_a_stale_value_and_one_loads_the_new(server):
    grow_stale(page)
    gate.clear()
    with ThreadPoolExecutor(8) as pool:
        assert {call.result(5) for call in [pool.submit(page) for _ in range(16)]} == {"first"}
    gate.set()
    eventually(lambda: page.peek() == "second")
    assert runs == ["first", "second"]


def test_an_error_leaves_the_stale_value_and_is_not_tried_again_at_once(server):
    grow_stale(page)
    outcome[0] = ValueError()
    for _ in range(20):
        assert page() == "first"
        sleep(0.01)
    assert len(runs) == 2


def test_an_invalidated_value_is_never_served_stale(server):
    grow_stale(page)
    invalidate_tags("pages")
    assert page() == "second"


@pytest.mark.parametrize("end", [page.invalidate, lambda: invalidate_tags("pages")])
def test_a_refresh_cannot_resurrect_what_was_invalidated_meanwhile(server, end):
    grow_stale(page)
    gate.clear()
    outcome[0] = "raced"
    page()
    eventually(lambda: len(runs) == 2)
    outcome[0] = "third"
    end()
    gate.set()
    eventually(lambda: not threads_that_refresh())
    assert page() == "third"


def threads_that_refresh():
    return dict(reading._refreshing)


def test_with_a_timeout_the_fresh_value_is_waited_for(server):
    grow_stale(patient)
    assert patient() == "second"


def test_with_a_timeout_a_slow_load_gives_the_stale_value(server):
    grow_stale(patient)
    gate.clear()
    started = monotonic()
    assert patient() == "first"
    assert 0.4 < monotonic() - started < 3


def test_a_cold_load_that_takes_too_long_raises_and_fills_all_the_same(server):
    gate.clear()
    with pytest.raises(LoadTimedOut, match="patient took longer than its timeout"):
        patient()
    gate.set()
    eventually(lambda: patient.peek() == "first")
    assert runs == ["first"]


def test_a_hot_value_is_refreshed_before_its_end_and_nobody_waits(server):
    @cached(ttl=1, jitter=0, key=lambda: 1)
    def hot():
        runs.append(1)
        sleep(0.15)
        return len(runs)

    hot()
    slowest, deadline = 0.0, monotonic() + 4
    while monotonic() < deadline:
        started = monotonic()
        hot()
        slowest = max(slowest, monotonic() - started)
        sleep(0.005)
    assert slowest < 0.14
    assert 4 <= len(runs) <= 10


def test_explicit_refresh_replaces_while_readers_get_the_old(server):
    page()
    outcome[0] = "second"
    gate.clear()
    with ThreadPoolExecutor(1) as pool:
        refreshing = pool.submit(page.refresh)
        eventually(lambda: len(runs) == 2)
        assert page() == "first"
        gate.set()
        assert refreshing.result(10) == "second"
    assert page() == "second"


def test_a_clock_that_jumps_makes_nothing_eternal(server, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock, "now", lambda: time() + now[0])

    @cached(ttl=1, jitter=0, key=lambda: 1)
    def soon():
        runs.append(1)
        return len(runs)

    now[0] = 3600.0
    soon()
    now[0] = -3600.0
    sleep(2.1 if server == "locmem" else 1.1)
    assert soon() == 2


@pytest.mark.parametrize("seconds", [0, -5, None])
def test_a_ttl_may_depend_on_the_value(server, seconds):
    @cached(ttl=lambda value: seconds, key=lambda: 1)
    def chosen():
        return "value"

    chosen()
    assert chosen.peek() == ("value" if seconds is None else MISSING)


def test_none_may_be_left_out_and_errors_kept(server):
    @cached(cache_none=False, cache_errors=KeyError, key=lambda n: n)
    def lookup(n):
        runs.append(n)
        if n:
            raise KeyError(n)

    lookup(0), lookup(0)
    for _ in range(2):
        with pytest.raises(KeyError):
            lookup(1)
    assert runs == [0, 0, 1]
    assert lookup.peek(1) is MISSING


def test_a_batch_is_loaded_by_one_call_and_one_round_trip_each_way(server):
    asked = []

    @cached(
        ttl=60, key=lambda n: n, tags=["n"], many=lambda ns: asked.append(ns) or {n: -n for n in ns}
    )
    def negative(n):
        runs.append(n)
        return -n

    negative.many(range(197))
    trips = []
    real = store_of("default").server.fetch
    store_of("default").server.fetch = lambda keys: trips.append(len(keys)) or real(keys)
    assert negative.many(range(200)) == [-n for n in range(200)]
    assert asked == [list(range(197)), [197, 198, 199]]
    assert trips == [201]
    assert runs == []
    store_of("default").server.fetch = real


def test_what_a_batch_leaves_out_is_loaded_by_the_function(server):
    @cached(ttl=60, key=lambda n: n, many=lambda ns: {n: -n for n in ns if n != 2})
    def negative(n):
        runs.append(n)
        return -n

    assert negative.many([1, 2, 3, 2]) == [-1, -2, -3, -2]
    assert runs == [2]


def test_a_batch_that_fails_leaves_no_lease(server):
    def fails(ns):
        raise ZeroDivisionError

    @cached(ttl=60, key=lambda n: n, many=fails)
    def one(n):
        return n

    with pytest.raises(ZeroDivisionError):
        one.many([1, 2])
    started = monotonic()
    assert [one(1), one(2)] == [1, 2]
    assert monotonic() - started < 2
