"""A web server in miniature: loads one value with many threads when told to, and says what became of it."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django
from django.conf import settings

url, threads, seconds, outcome = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]

settings.configure(
    SECRET_KEY="shared",
    INSTALLED_APPS=["scalekit.cache"],
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"SOCKET_TIMEOUT": 10, "SOCKET_CONNECT_TIMEOUT": 10},
        }
    },
    DATABASES={},
    SCALEKIT_CACHE_MAX_WAIT=30,
    SCALEKIT_CACHE_STATISTICS="",
)
django.setup()

import redis  # noqa: E402 - after the settings

from scalekit.cache import cached  # noqa: E402 - after the settings

counter = redis.Redis.from_url(url)


@cached(ttl=60)
def load(key):
    counter.rpush("loads", os.getpid())
    time.sleep(seconds)
    if outcome == "error":
        raise ValueError(key)
    return os.getpid()


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


load.peek("warm")  # connects
barrier = Barrier(threads)


def visit(_):
    barrier.wait()
    started = time.monotonic()
    try:
        answer = load("cold")
    except ValueError:
        answer = "error"
    return answer, time.monotonic() - started


say("ready")
sys.stdin.readline()
with ThreadPoolExecutor(threads) as pool:
    say(json.dumps(list(pool.map(visit, range(threads)))))
