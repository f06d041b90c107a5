from __future__ import annotations

import pickle
from time import time

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from scalekit.cache import MISSING, cached
from scalekit.cache.invalidation.naming import on_server, tag_name
from scalekit.cache.store import store_of
from scalekit.cache.values import FORMAT


class ResponseError(Exception):
    """Named as the Redis clients name a server's refusal."""


class BrittleCache(LocMemCache):
    """A cache that breaks when told to."""

    breaks: Exception | None = None
    asked = 0

    def _ask(self):
        type(self).asked += 1
        if self.breaks:
            raise self.breaks

    def get(self, *args, **kwargs):
        self._ask()
        return super().get(*args, **kwargs)

    def set(self, *args, **kwargs):
        self._ask()
        return super().set(*args, **kwargs)

    def delete(self, *args, **kwargs):
        self._ask()
        return super().delete(*args, **kwargs)


@pytest.fixture
def brittle(settings):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrittleCache", "LOCATION": "brittle"}}
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 60
    caches["default"].clear()
    BrittleCache.breaks, BrittleCache.asked = None, 0
    yield BrittleCache
    BrittleCache.breaks = None


@pytest.fixture
def clock():
    """The breaker's clock, to be set by hand."""
    now = [0.0]
    store_of("default").breaker._clock = lambda: now[0]
    return now


runs = []


@cached(ttl=60)
def load(argument):
    runs.append(argument)
    return argument


@pytest.fixture(autouse=True)
def no_runs():
    runs.clear()


GARBAGE = [
    b"",
    b"x",
    FORMAT,
    FORMAT + b"\x80",
    FORMAT[:-1] + b"\x02" + pickle.dumps(1),
    "text",
    7,
    (1, 2),
    None,
]


@pytest.mark.parametrize("stored", [*GARBAGE, FORMAT + b"cno.such.module\nClass\n."], ids=repr)
def test_what_cannot_be_read_is_a_miss(heard, stored):
    unreadable = heard("cache_unreadable")
    caches["default"].set(load._key((1,), {}), stored)
    assert load(1) == 1
    assert load(1) == 1
    assert runs == [1]
    assert {one["alias"] for one in unreadable} == (set() if stored is None else {"default"})


@pytest.mark.parametrize("stored", [b"", b"garbage", b"\x80\x05", b"cno.such.module\nClass\n."])
def test_a_broken_pickle_of_the_backend_is_a_miss_and_no_outage(heard, stored):
    unreadable = heard("cache_unreadable")
    load(1)
    cache = caches["default"]
    cache._cache[cache.make_key(load._key((1,), {}))] = stored
    assert [load(1), load(1)] == [1, 1]
    assert runs == [1, 1]
    assert unreadable
    assert not store_of("default").is_down


def test_a_failing_cache_is_asked_once_a_window(brittle, clock, heard):
    reads, breaker = heard("cache_read"), heard("cache_breaker")
    brittle.breaks = OSError("gone")
    assert [load(n) for n in range(5)] == list(range(5))
    assert brittle.asked == 1
    assert {read["result"] for read in reads} == {"down"}
    clock[0] = 61
    load(1), load(2)
    assert brittle.asked == 2
    brittle.breaks = None
    clock[0] = 122
    load(1), load(1)
    assert [one["state"] for one in breaker] == ["open", "closed"]
    assert runs[-1:] == [1]
    assert reads[-1]["result"] == "hit"


def test_a_refusal_is_announced_but_no_reason_to_leave_the_cache_alone(brittle, heard):
    failed = heard("cache_failed")
    brittle.breaks = ResponseError("OOM command not allowed")
    load(1)
    assert [one["operation"] for one in failed] == ["read", "lease"]
    assert not store_of("default").is_down


def test_what_was_invalidated_during_an_outage_is_gone_after_it(brittle, clock):
    load(1), load(2)
    brittle.breaks = OSError("gone")
    load.invalidate(1)
    load.invalidate(2)
    assert brittle.asked < 20
    brittle.breaks = None
    clock[0] = 61
    assert load.peek(2) is MISSING
    assert load.peek(1) is MISSING


def test_a_tenant_s_debt_is_paid_whoever_comes_next(brittle, tenants, clock):
    load(1)
    brittle.breaks = OSError("gone")
    load.invalidate(1)
    brittle.breaks, clock[0] = None, 61
    mark = tenants.set("other")
    load(2)
    tenants.reset(mark)
    assert caches["default"].get(load._key((1,), {})) is None


def test_a_refresh_that_could_not_be_stored_removes_the_old_value(brittle, clock):
    load(1)
    brittle.breaks = OSError("gone")
    load.refresh(1)
    brittle.breaks = None
    clock[0] = 61
    assert load.peek(1) is MISSING


def test_debts_are_bounded_by_owing_everything(brittle, monkeypatch, clock):
    monkeypatch.setattr("scalekit.cache.debts._OWED", 10)
    load(100)
    brittle.breaks = OSError("gone")
    for n in range(50):
        load.invalidate(n)
    assert len(store_of("default").debts) <= 10
    brittle.breaks, clock[0] = None, 61
    assert load.peek(100) is MISSING


def test_an_unknown_alias_is_the_project_s_fault_and_shows():
    @cached(alias="nowhere")
    def lost(): ...

    with pytest.raises(Exception, match="nowhere"):
        lost()


def test_a_stamp_that_a_write_left_outlives_what_is_stored_under_it(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    @cached(ttl=3600, tags=["rows"], key=lambda: 1)
    def load():
        return "value"

    load()
    tag = on_server("default", [tag_name("rows")])[0]
    store_of("default").invalidate([tag], facts={"n": 1})
    assert load() == "value"
    assert caches["default"]._expire_info[tag] > time() + 3600


def test_a_server_that_the_settings_name_no_more_is_owed_nothing(brittle, settings):
    settings.SCALEKIT_CACHE_BREAKER_SECONDS = 0
    store = store_of("default")
    brittle.breaks = ConnectionError("gone")
    store.owe(["name"], "")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    store._collector.join(10)
    assert not store._collector.is_alive()
