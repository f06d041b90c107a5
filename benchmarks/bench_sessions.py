"""A request's use of its session (load, change one key, save) beside Django's engine on two Redis caches."""

from __future__ import annotations

import django
from django.conf import settings

from benchmarks.taking_turns import compare, rounds

CALLS = 50  # a round


def configure(url):
    settings.configure(
        INSTALLED_APPS=["django.contrib.sessions", "scalekit.sessions"],
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url},
            "django_redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
        },
        SCALEKIT_SESSIONS_REDIS_URL=url,
        USE_TZ=True,
    )
    django.setup()


def on_cache(alias):
    """Return Django's engine on one of the caches."""
    from django.contrib.sessions.backends.cache import SessionStore
    from django.core.cache import caches

    class OnCache(SessionStore):
        def __init__(self, session_key=None):
            super().__init__(session_key)
            self._cache = caches[alias]

    return OnCache


def visit(store, **data):
    """Return a request of a visitor who has a session with `data`."""
    session = store()
    session.update({"_auth_user_id": "42", "_auth_user_hash": "f" * 64, "count": 0, **data})
    session.save()
    key = session.session_key

    def request():
        session = store(key)
        session["count"] = session["count"] + 1
        session.save()

    return request


def main():
    count = rounds(__doc__)
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        configure(topology.valkey().url)
        from scalekit.sessions.redis import SessionStore as Ours

        engines = {
            "django cache engine on Django's RedisCache": on_cache("default"),
            "django cache engine on django-redis": on_cache("django_redis"),
            "scalekit.sessions.redis": Ours,
        }
        for title, data in {
            "A small session": {},
            "One with a 10 kB cart": {"cart": "x" * 10_000},
        }.items():
            print(title)
            ways = {name: visit(engine, **data) for name, engine in engines.items()}
            compare(ways, count, CALLS)


if __name__ == "__main__":
    main()
