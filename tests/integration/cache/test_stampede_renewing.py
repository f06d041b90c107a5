"""Leases that live on: whatever another cache of the process does."""

from __future__ import annotations

import threading
from time import monotonic

import pytest
from django.core.cache import caches

from scalekit.cache.stampede.renewing import Renewals
from scalekit.cache.stampede.requests import Acquire
from scalekit.cache.store import store_of

pytestmark = pytest.mark.servers


def _token(alias):
    return alias[:6].encode().ljust(8)


def test_a_cache_that_hangs_ends_no_lease_of_another(scalekit_servers, valkey, settings):
    frozen = scalekit_servers.valkey("cache")
    settings.CACHES = {
        alias: {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": server.url,
            "OPTIONS": {"SOCKET_TIMEOUT": 20},
        }
        for alias, server in (("frozen", frozen), ("default", valkey))
    }
    client = caches["default"].client.get_client()
    renewals = Renewals()
    for alias in ("frozen", "default"):
        store_of(alias).server.run(Acquire("key", _token(alias), b"digested", b"", 2500))
        renewals.add(store_of(alias), ("key", _token(alias)))
    with frozen.frozen():
        deadline = monotonic() + 4
        while monotonic() < deadline:
            assert client.get("key")
            threading.Event().wait(0.1)
    for alias in ("frozen", "default"):
        renewals.remove(store_of(alias), ("key", _token(alias)))
