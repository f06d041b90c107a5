"""A site that has used its tiered cache before its workers were forked (gunicorn --preload)."""

from __future__ import annotations

import json
import os
import time

from django.conf import settings

settings.configure(CACHES=json.loads(os.environ["SITE_CACHES"]))

from django.core.cache import cache  # noqa: E402 - needs the settings

cache.set("k", "warm")
for _ in range(500):
    if cache.get("k") and cache.make_key("k") in cache.local:
        break
    time.sleep(0.01)
else:
    raise RuntimeError("not warm")


def application(environ, start_response):
    """Answer with who answers, what it reads, and whether that was in its own memory."""
    is_near = cache.make_key("k") in cache.local
    answer = {"pid": os.getpid(), "value": cache.get("k"), "near": is_near}
    start_response("200 OK", [("Content-Type", "application/json"), ("Connection", "close")])
    return [json.dumps(answer).encode()]
