"""What Django asks of every cache backend, asked of ours."""

from __future__ import annotations

import time

from cache.tests import BaseCacheTests, caches_setting_for_tests
from django.conf import settings
from django.core.cache import cache, caches
from django.test import TestCase, override_settings
from redis.exceptions import ResponseError

CULLING = {"cull", "zero_cull"}  # Redis evicts by itself
TIERED = "scalekit.cache.backends.tiered.TieredCache"
FAILOVER = "scalekit.cache.backends.failover.FailoverCache"


def over_redis(backend, **options):
    layers = caches_setting_for_tests({"BACKEND": backend, "OPTIONS": options}, CULLING)
    return {**settings.BELOW, **layers}


class LayerTests(BaseCacheTests):
    incr_decr_type_error = ResponseError


@override_settings(CACHES=over_redis(TIERED, over="shared"))
class TieredCacheTests(LayerTests, TestCase):
    def setUp(self):
        super().setUp()
        for alias in settings.CACHES:
            if alias not in settings.BELOW:
                hear(caches[alias])

    def test_the_tier_is_on(self):
        cache.set("k", [1])
        end = time.monotonic() + 5
        while cache.make_key("k") not in cache.local and time.monotonic() < end:
            assert cache.get("k") == [1]
        assert cache.make_key("k") in cache.local


def hear(tiered):
    tiered.local.begin()
    end = time.monotonic() + 5
    while not tiered.local.enabled and time.monotonic() < end:
        time.sleep(0.001)
    assert tiered.local.enabled


@override_settings(CACHES=over_redis(FAILOVER, first="first", gutter="gutter"))
class FailoverCacheTests(LayerTests, TestCase):
    """While the first cache is well."""


@override_settings(CACHES=over_redis(FAILOVER, first="nowhere", gutter="spare"))
class GutterTests(LayerTests, TestCase):
    """While it is down."""

    def setUp(self):
        super().setUp()
        cache.get("k")
        assert cache._pools.first.breaker.is_open
