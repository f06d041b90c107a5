"""`@cached` over `TieredCache` and over `FailoverCache`, on real Valkeys."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from django.core.cache import caches
from tiers import FAILOVER, TIERED, eventually, is_up_to_date, redis_entry

from scalekit.cache import MISSING, cached, get_or_compute, invalidate_key, invalidate_tags
from scalekit.cache.backends import outages
from scalekit.cache.backends.tiered import stop_listening
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers

runs: list[object] = []


@cached(ttl=60, tags=lambda user_id: [f"user:{user_id}", "users"])
def profile(user_id: int) -> dict:
    runs.append(user_id)
    return {"id": user_id, "photos": [len(runs)]}


@cached(ttl=60, tags=["users"])
async def aprofile(user_id: int) -> dict:
    runs.append(user_id)
    return {"id": user_id}


@pytest.fixture(autouse=True)
def no_runs():
    runs.clear()


@pytest.fixture
def tiered(scalekit_servers, settings):
    """The server below a tiered cache that hears."""
    server = scalekit_servers.valkey("cache")
    settings.CACHES = {
        "shared": redis_entry(server),
        "default": {
            "BACKEND": TIERED,
            "OPTIONS": {"over": "shared"},
        },
    }
    assert eventually(lambda: caches["default"].local.enabled)
    yield server
    stop_listening()


@pytest.fixture
def failover(scalekit_servers, settings, monkeypatch):
    """The first server of a cache with a gutter."""
    first, gutter = (scalekit_servers.valkey(name) for name in ("first", "gutter"))
    settings.CACHES = {
        "first": redis_entry(first),
        "gutter": redis_entry(gutter),
        "default": {
            "BACKEND": FAILOVER,
            "OPTIONS": {"first": "first", "gutter": "gutter"},
        },
    }
    monkeypatch.setattr(outages, "REPAY_SECONDS", 0.1)
    yield first
    settings.CACHES = {}


def is_near(call) -> bool:
    """Have this process keep the value of `call`, with nothing left to be heard of it."""
    cache = caches["default"]
    call()
    return is_up_to_date(cache) and bool(call()) and len(cache.local) > 0


def elsewhere(settings, code: str) -> None:
    """Run `code` in another process with the same caches."""
    script = (
        "from django.conf import settings\n"
        f"settings.configure(SECRET_KEY={settings.SECRET_KEY!r}, CACHES={settings.CACHES!r},"
        " INSTALLED_APPS=['scalekit.cache'])\n"
        f"import django; django.setup()\n{code}"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30, env=dict(os.environ))


def test_a_near_value_asks_nobody(tiered):
    assert is_near(lambda: profile(1))
    with tiered.frozen():
        assert profile(1) == {"id": 1, "photos": [1]}
    assert runs == [1]


def test_a_near_value_is_each_caller_s_own(tiered):
    assert is_near(lambda: profile(1))
    profile(1)["photos"].append("spoiled")
    assert profile(1) == {"id": 1, "photos": [1]}


@pytest.mark.parametrize("tag", ["user:1", "users"])
def test_a_tag_that_is_invalidated_elsewhere_ends_it_here(tiered, settings, tag):
    assert is_near(lambda: profile(1))
    elsewhere(settings, f"from scalekit.cache import invalidate_tags; invalidate_tags({tag!r})")
    assert eventually(lambda: profile(1)["photos"] == [2], 1)


def test_another_tag_ends_nothing(tiered, settings):
    assert is_near(lambda: profile(1))
    elsewhere(settings, "from scalekit.cache import invalidate_tags; invalidate_tags('user:2')")
    assert profile(1)["photos"] == [1]


def test_one_s_own_invalidation_shows_in_the_next_line(tiered):
    for expected in (1, 2, 3):
        assert is_near(lambda: profile(1))
        assert profile(1)["photos"] == [expected]
        profile.invalidate(1) if expected % 2 else invalidate_tags("users")
    assert profile.peek(1) is MISSING


class Shop:
    def __init__(self, city):
        self.city = city

    @cached(ttl=60, key=lambda self, sku: (self.city, sku))
    def price(self, sku):
        runs.append(sku)
        return len(runs)


def of_the_tenant(key, prefix, version):
    return f"tenant:{prefix}:{version}:{key}"


@pytest.fixture
def tiered_by_tenant(tiered, settings):
    settings.CACHES = {
        name: {**entry, "KEY_FUNCTION": of_the_tenant} for name, entry in settings.CACHES.items()
    }
    assert eventually(lambda: caches["default"].local.enabled)
    return tiered


def test_a_method_s_values_are_near_whoever_calls_it_under_a_key_function_too(tiered_by_tenant):
    assert is_near(lambda: Shop("oslo").price("a"))
    with tiered_by_tenant.frozen():
        assert {Shop("oslo").price("a") for _ in range(5)} == {runs.count("a")}


def test_computed_values_are_near_too(tiered):
    def compute():
        runs.append("computed")
        return len(runs)

    assert is_near(lambda: get_or_compute("report", compute))
    with tiered.frozen():
        assert get_or_compute("report", compute) == 1
    invalidate_key("report")
    assert get_or_compute("report", compute) == 2


def test_coroutines_have_it_near_too(tiered):
    assert is_near(lambda: asyncio.run(aprofile(1)))
    with tiered.frozen():
        assert asyncio.run(aprofile(1)) == {"id": 1}
    assert runs == [1]


def test_while_the_first_is_down_functions_use_the_gutter(failover):
    profile(1)
    failover.kill()
    assert [profile(1)["photos"] for _ in range(3)] == [[2]] * 3
    assert not store_of("default").is_down


def test_what_was_invalidated_while_the_first_was_frozen_stays_so(failover):
    profile(1)
    with failover.frozen():
        invalidate_tags("users")
        assert profile(1)["photos"] == [2]
    assert eventually(lambda: not caches["default"]._pools.first.owes)
    assert profile(1)["photos"] != [1]
