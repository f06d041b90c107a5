from __future__ import annotations

import pytest
import redis

from scalekit.sessions.checks import ENGINE, MIDDLEWARE

DJANGO_S = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.fixture
def use_store(settings):
    """Return a function that lets the site keep its sessions on a server."""

    def use(server) -> redis.Redis:
        settings.SESSION_ENGINE = ENGINE
        settings.SCALEKIT_SESSIONS_REDIS_URL = server.url
        settings.SCALEKIT_SESSIONS_TIMEOUT = 0.25
        settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 0
        settings.MIDDLEWARE = [
            MIDDLEWARE if name == DJANGO_S else name for name in settings.MIDDLEWARE
        ]
        return clients.setdefault(server.url, redis.Redis.from_url(server.url))

    clients: dict[str, redis.Redis] = {}
    yield use
    for client in clients.values():
        client.close()


@pytest.fixture
def store(valkey, use_store):
    """Return the server's content, empty."""
    client = use_store(valkey)
    client.flushdb()
    return client
