"""A server of greenlets: fifty ask for one value; one that loads another is killed."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - after the patch, as in a server
import time  # noqa: E402 - after the patching

import django  # noqa: E402 - after the patching
import gevent  # noqa: E402 - after the patching
from django.conf import settings  # noqa: E402 - after the patching

settings.configure(
    SECRET_KEY="greenlets",
    INSTALLED_APPS=["scalekit.cache"],
    DATABASES={},
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": sys.argv[1],
            "OPTIONS": {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
        }
    },
)
django.setup()

from scalekit.cache import cached  # noqa: E402 - after the patching

runs = []


@cached(ttl=60)
def load(argument):
    runs.append(argument)
    time.sleep(1)
    return argument


visitors = [gevent.spawn(load, "asked by all") for _ in range(50)]
killed = gevent.spawn(load, "killed")
while "killed" not in runs:
    gevent.sleep(0.01)
killed.kill()
heir = gevent.spawn(load, "killed")
gevent.joinall([*visitors, heir], timeout=20)
assert [visitor.value for visitor in visitors] == ["asked by all"] * 50
assert heir.value == "killed"
assert sorted(runs) == ["asked by all", "killed", "killed"]
