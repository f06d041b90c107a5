"""What the tests of caches over caches share: entries of CACHES, and waiting."""

from __future__ import annotations

import time
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.cache.backends.tiered import TieredCache
    from scalekit.testing.servers import Valkey

TIERED = "scalekit.cache.backends.tiered.TieredCache"
FAILOVER = "scalekit.cache.backends.failover.FailoverCache"
QUICK = {"SOCKET_TIMEOUT": 0.2, "SOCKET_CONNECT_TIMEOUT": 0.2}


def redis_entry(server: Valkey) -> dict:
    """Return the entry of a plain cache on `server`, with django-redis."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server.url,
        "OPTIONS": dict(QUICK),
    }


def eventually(holds: Callable[[], object], seconds: float = 10) -> bool:
    """Wait until something holds; tell whether it does."""
    end = monotonic() + seconds
    while monotonic() < end:
        if holds():
            return True
        time.sleep(0.002)
    return bool(holds())


def is_up_to_date(cache: TieredCache) -> bool:
    """Wait until this process has heard of every change so far: they are told in order."""
    key = f"mark-{next(_marks)}"
    cache.below.set(key, 1)
    return eventually(lambda: cache.make_key(key) in cache.local._changed)


_marks = count()
