"""`FailoverCache` over two real Valkeys, of which the first is killed, frozen, full, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from time import monotonic

import pytest
import redis.exceptions
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.exceptions import ObjectDoesNotExist
from django.db import OperationalError
from tiers import FAILOVER, eventually, redis_entry

from scalekit.cache.backends import outages
from scalekit.cache.backends.exceptions import CachesDown
from scalekit.testing.fakes import captured_events

pytestmark = pytest.mark.servers


def config(first, gutter, **options) -> dict:
    over = {"first": "first", "gutter": "gutter", "gutter_ttl": 10, **options}
    return {
        "first": redis_entry(first),
        "gutter": redis_entry(gutter),
        "default": {"BACKEND": FAILOVER, "OPTIONS": over},
    }


@pytest.fixture
def first(scalekit_servers):
    return scalekit_servers.valkey("first")


@pytest.fixture
def gutter(scalekit_servers):
    return scalekit_servers.valkey("gutter")


@pytest.fixture
def cache(first, gutter, settings, monkeypatch):
    settings.CACHES = config(first, gutter)
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 60  # who comes back sooner has repaid
    monkeypatch.setattr(outages, "REPAY_SECONDS", 0.1)
    yield caches["default"]
    settings.CACHES = {}


def below(alias: str, key: str) -> object:
    return caches[alias].get(key)


def test_while_the_first_is_well_the_gutter_is_empty(cache):
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert below("first", "k") == 1
    assert below("gutter", "k") is None


def test_a_dead_first_is_replaced_at_once(cache, first):
    cache.set("k", 1)
    first.kill()
    assert cache.get("k", "default") == "default"
    cache.set("k", 2)
    assert cache.get("k") == 2
    assert cache.get_many(["k", "other"]) == {"k": 2}
    assert cache.has_key("k")
    assert cache.incr("k") == 3
    assert not cache.add("k", 9)
    assert asyncio.run(cache.aget("k")) == 3
    assert cache.delete("k")
    assert cache.get_or_set("k", lambda: 4) == 4


def test_a_frozen_first_costs_one_time_out(cache, first):
    cache.set("k", 1)
    with first.frozen():
        began = monotonic()
        cache.get("k")
        assert 0.15 < monotonic() - began < 1
        began = monotonic()
        for n in range(20):
            cache.set(f"k{n}", n)
        assert monotonic() - began < 0.2  # none of them waited for the first


@pytest.mark.parametrize("timeout", [None, 300, 20])
@pytest.mark.parametrize(
    "write",
    [
        lambda cache, timeout: cache.set("k", 1, timeout),
        lambda cache, timeout: cache.add("k", 1, timeout),
        lambda cache, timeout: cache.set_many({"k": 1}, timeout),
        lambda cache, timeout: cache.get_or_set("k", 1, timeout),
        lambda cache, timeout: cache.set("k", 1, 3) or cache.touch("k", timeout),
    ],
)
def test_nothing_lives_long_in_the_gutter(cache, first, write, timeout):
    first.kill()
    write(cache, timeout)
    assert 0 < caches["gutter"].ttl("k") <= 10


def test_a_shorter_life_stays_as_short(cache, first):
    first.kill()
    cache.set("k", 1, 3)
    assert 0 < caches["gutter"].ttl("k") <= 3
    cache.set("k", 1, 0)
    assert cache.get("k") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.set("k", "new"),
        lambda cache: cache.set_many({"k": "new"}),
        lambda cache: cache.delete("k"),
        lambda cache: cache.delete_many(["k"]),
        lambda cache: cache.touch("k", 5),
        lambda cache: cache.add("k", "new"),
        lambda cache: cache.clear(),
    ],
)
def test_a_thawed_first_does_not_show_what_was_changed_meanwhile(cache, first, change):
    cache.set("k", "old")
    with first.frozen():
        change(cache)
    assert eventually(lambda: below("first", "k") is None)
    assert cache.get("k") != "old"


def test_the_values_that_nobody_changed_are_still_there(cache, first):
    cache.set_many({"k": "old", "other": "kept"})
    with first.frozen():
        cache.set("k", "new")
    assert eventually(lambda: cache.get("other") == "kept")


def test_it_is_not_believed_before_it_was_told(cache, first, monkeypatch, settings):
    monkeypatch.setattr(outages, "REPAY_SECONDS", 60)  # no thread helps
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0
    cache.set("k", "old")
    with first.frozen():
        cache.set("k", "new")
    assert cache.get("k") is None  # the very first answer of the thawed server


def test_a_write_that_was_under_way_when_it_froze_is_overtaken_by_none(cache, first):
    cache.set("k", "oldest")
    with first.frozen():
        cache.set("k", "stuck in the sockets of the first")
        assert cache._pools.first.owes
        cache.set("k", "new")
    assert eventually(lambda: not cache._pools.first.owes)
    time.sleep(0.05)
    assert below("first", "k") is None


def test_a_deletion_reaches_both(cache):
    caches["gutter"].set("k", "of an earlier outage")
    cache.set("k", 1)
    cache.delete("k")
    assert below("gutter", "k") is None
    caches["gutter"].set_many({"a": 1, "b": 2})
    cache.delete_many(["a", "b"])
    assert caches["gutter"].get_many(["a", "b"]) == {}


def test_after_a_short_outage_the_gutter_forgets_what_changes(cache, first):
    first.kill()
    cache.set("k", "during")
    first.start()
    assert eventually(lambda: not cache._pools.first.breaker.is_open)
    cache.set("k", "after")
    assert below("gutter", "k") is None
    first.kill()
    assert cache.get("k") is None


def test_a_first_that_takes_no_writes_is_left_alone_until_it_does(cache):
    cache.set("k", "old")
    client = caches["first"].client.get_client()
    client.config_set("maxmemory", 1)
    cache.set("k", "new")
    time.sleep(0.5)  # in which it is tried five times
    assert cache.get("k") == "new"
    client.config_set("maxmemory", 0)
    assert eventually(lambda: not cache._pools.first.breaker.is_open)
    assert cache.get("k") is None


def test_a_wrong_call_is_the_caller_s(cache):
    cache.set("text", "x")
    caches["first"].client.get_client().rpush(str(caches["first"].make_key("list")), "x")
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")
    with pytest.raises(Exception, match="WRONGTYPE"):
        cache.get("list")
    assert not cache._pools.first.breaker.is_open


class Stubborn:
    """Cannot be pickled, for a reason of its own."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no"),
        RecursionError("no"),
        ObjectDoesNotExist("no"),
        OperationalError("the site's database is down, not the cache"),
        TypeError("no"),
    ],
)
def test_a_value_that_cannot_be_stored_is_the_caller_s(cache, error):
    cache.set("k", 1)
    with pytest.raises(type(error)):
        cache.set("k", Stubborn(error))
    assert not cache._pools.first.breaker.is_open
    assert not cache._pools.gutter.is_open
    assert below("first", "k") == 1
    assert not cache._pools.first.owes


def test_a_value_that_cannot_be_stored_ends_no_outage(cache, first, settings):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0
    first.kill()
    cache.get("k")
    with pytest.raises(RuntimeError):
        cache.set("k", Stubborn(RuntimeError("no")))
    assert cache._pools.first.breaker.is_open


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (redis.exceptions.TimeoutError(), True),
        (redis.exceptions.ClusterDownError("CLUSTERDOWN"), True),
        (redis.exceptions.ReadOnlyError("READONLY"), True),
        (redis.exceptions.DataError(), False),
        (redis.exceptions.ResponseError("WRONGTYPE"), False),
        (MemoryError(), False),
        (RuntimeError(), False),
        (OperationalError(), False),
    ],
)
def test_an_outage_is_what_a_server_or_its_client_says(cache, error, expected):
    assert outages.is_outage(error, cache.first) is expected


def test_a_database_that_is_down_is_an_outage_of_a_cache_in_it():
    assert outages.is_outage(OperationalError(), DatabaseCache("table", {}))


def test_both_down_is_one_error_and_quick(cache, first, gutter):
    first.kill()
    gutter.kill()
    with pytest.raises(CachesDown, match="'first' and its gutter 'gutter' are down"):
        cache.get("k")
    began = monotonic()
    for _ in range(20):
        with pytest.raises(CachesDown):
            cache.set("k", 1)
    assert monotonic() - began < 0.2


def test_a_dead_gutter_harms_no_first(cache, gutter):
    gutter.kill()
    cache.set("k", 1)
    assert cache.delete("k")
    cache.clear()
    assert cache.get("k") is None


def test_the_change_is_announced_once(cache, first):
    with captured_events("cache_failover") as events:
        first.kill()
        for _ in range(3):
            cache.get("k")
        cache.set("k", 1)
        first.start()
        assert eventually(lambda: not cache._pools.first.breaker.is_open)
        cache.get("k")
    assert [event.payload["pool"] for event in events] == ["gutter", "first"]


def test_no_thread_is_left_when_nothing_is_owed(cache, first):
    first.kill()
    cache.set("k", 1)

    def repaying():
        return [t for t in threading.enumerate() if t.name == "scalekit-repay-default"]

    assert repaying()
    first.start()
    assert eventually(lambda: not repaying())


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_repays_what_is_its_own(cache, first):
    cache.set("k", "old")
    first.freeze()
    cache.set("k", "parent's")
    with cache._pools.first._lock:  # held by another thread of the parent, say
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        cache.set("k", "child's")
        os._exit(0 if list(cache._pools.first._owed) and cache._pools.first._thread else 1)
    _, status = os.waitpid(child, 0)
    first.thaw()
    assert os.waitstatus_to_exitcode(status) == 0
    assert eventually(lambda: below("first", "k") is None)


def test_all_tenants_debts_are_paid_by_any(cache, first, settings):
    settings.CACHES = {
        alias: {**entry, "KEY_FUNCTION": by_tenant} for alias, entry in settings.CACHES.items()
    }
    cache = caches["default"]
    cache.set("k", "old")
    with first.frozen():
        cache.set("k", "new")
        tenant[0] = "other"
    assert eventually(lambda: not cache._pools.first.owes)
    tenant[0] = "one"
    assert below("first", "k") is None


tenant = ["one"]


def by_tenant(key, prefix, version):
    return f"{tenant[0]}:{prefix}:{version}:{key}"
