"""A key that sixteen threads read all the time, while it ends again and again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import quantiles
from time import monotonic, sleep

import pytest
from django.core.cache import caches

from scalekit.cache import cached

pytestmark = pytest.mark.servers

READERS, SECONDS, TTL, LOAD = 16, 7, 2, 0.2
loads: list[float] = []


@cached(ttl=TTL, jitter=0, key=lambda: 1)
def front_page():
    loads.append(monotonic())
    sleep(LOAD)
    return "page"


@pytest.fixture
def _valkey_cache(valkey, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    }
    caches["default"].clear()
    loads.clear()


def read_until(end):
    took = []
    while (began := monotonic()) < end:
        assert front_page() == "page"
        took.append(monotonic() - began)
        sleep(0.005)
    return took


@pytest.mark.usefixtures("_valkey_cache")
def test_a_hot_key_is_loaded_once_a_ttl_and_only_the_first_visitors_wait():
    assert front_page() == "page"
    with ThreadPoolExecutor(READERS) as pool:
        took = list(pool.map(read_until, [monotonic() + SECONDS] * READERS))
    every = [seconds for reader in took for seconds in reader]
    # Unprotected it would be 16 a ttl. With so many readers a refresh begins some six loads' time early.
    assert SECONDS // TTL <= len(loads) <= SECONDS / (TTL - 6 * LOAD) + 2
    assert all(after - before > LOAD for before, after in pairwise(loads))  # never two at once
    assert quantiles(every, n=100)[-1] < LOAD / 4
