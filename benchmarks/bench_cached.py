"""What a hit through @cached costs over a plain GET, beside what a user would write by hand: one Valkey."""

from __future__ import annotations

import django
from django.conf import settings

from benchmarks.taking_turns import compare, rounds

CALLS = 200  # a round
VALUE = {"id": 42, "name": "Ana", "photos": list(range(20))}


def configure(url):
    settings.configure(
        INSTALLED_APPS=["scalekit.cache"],
        CACHES={
            "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
            "django": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url},
            "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        },
        USE_TZ=True,
    )
    django.setup()


def profile(user_id: int, lang: str = "en") -> dict:  # noqa: ARG001 - they make the key
    return VALUE


def contestants(url):
    """Return the ways to get one stored value, by name."""
    from django.core.cache import caches
    from redis import Redis

    from scalekit.cache import cached

    client = Redis.from_url(url)
    client.set("raw", b"x" * 100)
    for alias in settings.CACHES:
        caches[alias].set("profile", VALUE)
    on_django_redis = cached(ttl=3600)(profile)
    on_django = cached(ttl=3600, alias="django")(profile)
    in_process = cached(ttl=3600, alias="local")(profile)
    return {
        "redis-py GET": lambda: client.get("raw"),
        "django-redis cache.get()": lambda: caches["default"].get("profile"),
        "@cached on django-redis": lambda: on_django_redis(42),
        "@cached on django-redis, named arguments": lambda: on_django_redis(user_id=42, lang="en"),
        "Django's RedisCache.get()": lambda: caches["django"].get("profile"),
        "@cached on Django's RedisCache": lambda: on_django(42),
        "Django's LocMemCache.get()": lambda: caches["local"].get("profile"),
        "@cached on Django's LocMemCache": lambda: in_process(42),
    }


def main():
    count = rounds(__doc__)
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        url = topology.valkey().url
        configure(url)
        compare(contestants(url), count, CALLS)


if __name__ == "__main__":
    main()
