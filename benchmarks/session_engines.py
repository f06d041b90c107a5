"""Django's session engines, those of other packages that are installed, and ours: each with a name for tables."""

from __future__ import annotations

from importlib import import_module

import django
from django.conf import settings

PEERS = {"redis_sessions": "django-redis-sessions", "user_sessions": "django-user-sessions"}
NAME = "sessions"


def configure(database, url):
    """Set Django up on a PostgreSQL server and a Valkey, with all tables."""
    database.create_database(NAME)
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")
    extra = ["user_sessions"] if is_there("user_sessions") else []
    settings.configure(
        SECRET_KEY="benchmark",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "scalekit.sessions",
            *extra,
        ],
        DATABASES={"default": database.django_settings(NAME=NAME, CONN_MAX_AGE=None)},
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url},
            "django_redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
        },
        SESSION_REDIS={"host": host, "port": int(port), "db": 0, "socket_timeout": 5},
        SCALEKIT_SESSIONS_REDIS_URL=url,
        SILENCED_SYSTEM_CHECKS=["*"],
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)


def engines():
    """Return the SessionStore classes by name; the first is what the others are compared with."""
    django_s = "django.contrib.sessions.backends"
    found = {
        "Django cache, RedisCache": on_cache("default"),
        "Django cache, django-redis": on_cache("django_redis"),
        "Django cached_db": load(f"{django_s}.cached_db"),
        "Django db": load(f"{django_s}.db"),
        "Django signed_cookies": load(f"{django_s}.signed_cookies"),
    }
    if is_there("redis_sessions"):
        found["django-redis-sessions"] = load("redis_sessions.session")
    if is_there("user_sessions"):
        found["django-user-sessions"] = load("user_sessions.backends.db")
    ours = ("redis", "database", "hybrid")
    return found | {f"scalekit {name}": load(f"scalekit.sessions.{name}") for name in ours}


def missing():
    """Return the peers that are not installed."""
    return [package for module, package in PEERS.items() if not is_there(module)]


def is_there(module):
    """Tell whether a peer is installed and can be imported; one of them needs setuptools below 81."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def load(path):
    return import_module(path).SessionStore


def on_cache(alias):
    """Return Django's cache engine on one of the caches."""
    from django.contrib.sessions.backends.cache import SessionStore
    from django.core.cache import caches

    class OnCache(SessionStore):
        def __init__(self, session_key=None):
            super().__init__(session_key)
            self._cache = caches[alias]

    return OnCache
