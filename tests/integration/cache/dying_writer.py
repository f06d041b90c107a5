"""A process that writes a photo: and dies between its COMMIT and the release, or is a plain command.

Called with the database as JSON, the cache's URL, and how to write.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from django.conf import settings


def main():
    import django

    database, cache, mode = sys.argv[1:]
    settings.configure(
        SECRET_KEY="of the tests",
        DATABASES={"default": json.loads(database)},
        CACHES={
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": cache,
                "OPTIONS": {"SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": 2},
            }
        },
        INSTALLED_APPS=["scalekit.cache", "tests.cache.shop"],
        SCALEKIT_CACHE_MODELS=["gallery"],
        SCALEKIT_CACHE_HOLD_SECONDS=2,
        USE_TZ=True,
    )
    django.setup()
    from django.db import transaction

    from scalekit.cache.store import Store
    from tests.cache.shop.models import Photo

    if mode != "command":
        Store.release = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
    if mode == "atomic":
        with transaction.atomic():
            Photo.objects.create(title="killed")
    else:
        Photo.objects.create(title="killed")


if __name__ == "__main__":
    main()
