"""Django's own tests of caches on caches over caches; CACHE_URL and GUTTER_URL name real servers.

Every class of tests has databases of its own, as each runs in a process of its own and clears them.
"""

from __future__ import annotations

import os

REDIS = "django.core.cache.backends.redis.RedisCache"


def redis(url: str, database: int = 0) -> dict:
    return {"BACKEND": REDIS, "LOCATION": f"{url.removesuffix('/0')}/{database}"}


CACHE, GUTTER = os.environ["CACHE_URL"], os.environ["GUTTER_URL"]
BELOW = {
    "shared": redis(CACHE),
    "first": redis(CACHE, 1),
    "gutter": redis(GUTTER, 1),
    "nowhere": redis("redis://127.0.0.1:1"),
    "spare": redis(GUTTER, 2),
}
CACHES = {"default": BELOW["shared"]}
DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for alias in ("default", "other")
}
INSTALLED_APPS = ["cache", "scalekit.cache"]
SECRET_KEY = "suite"
USE_TZ = False
SCALEKIT_CACHE_BREAKER_SECONDS = 600
