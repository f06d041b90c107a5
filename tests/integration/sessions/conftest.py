"""The three engines on a real Valkey and a real PostgreSQL, as Django's only database."""

from __future__ import annotations

from importlib import import_module

import pytest
import redis
from django.db import connections

from scalekit.sessions.checks import DATABASE, ENGINE, HYBRID, MIDDLEWARE
from scalekit.sessions.stores.hybrid import HybridStore
from tests.db.databases import create_tables, databases

DJANGO_S = "django.contrib.sessions.middleware.SessionMiddleware"
NAME = "visitors"
APPS = ["contenttypes", "auth", "sessions", "scalekit_sessions"]
TABLES = ["auth_user", "django_session", "scalekit_sessions_session", "scalekit_sessions_epoch"]
FAST = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def use_store(settings):
    """Return a function that lets the site keep its sessions on a server."""

    def use(server, engine=ENGINE, timeout=5.0) -> redis.Redis:
        settings.SESSION_ENGINE = engine
        settings.SCALEKIT_SESSIONS_REDIS_URL = server.url
        settings.SCALEKIT_SESSIONS_TIMEOUT = timeout
        settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 0
        settings.SCALEKIT_SESSIONS_EPOCH_SECONDS = 0.2
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


def sessions_database(server, **settings):
    """Let Django use a database of this server alone, with the tables of users and sessions."""
    server.create_database(NAME)
    entries = {"default": server.django_settings(NAME=NAME, CONN_MAX_AGE=60)}
    return databases(entries, **{"DATABASE_ROUTERS": [], **settings})


@pytest.fixture(scope="session")
def visitors_tables(postgres_primary, django_db_blocker):
    """Make the tables once."""
    with (
        django_db_blocker.unblock(),
        sessions_database(postgres_primary),
    ):
        for app in APPS:
            create_tables("default", app=app)


@pytest.fixture
def database(visitors_tables, postgres_primary, django_db_blocker):
    """Give the database of the sessions, empty."""
    with (
        django_db_blocker.unblock(),
        sessions_database(postgres_primary, PASSWORD_HASHERS=FAST),
    ):
        with connections["default"].cursor() as cursor:
            cursor.execute(";".join(f"DELETE FROM {table}" for table in TABLES))
        yield postgres_primary


@pytest.fixture(params=[ENGINE, DATABASE, HYBRID])
def engine(request, database, store, use_store, valkey):
    """Give the SessionStore class of each engine in turn, with empty stores."""
    use_store(valkey, request.param)
    return fresh(request.param)


@pytest.fixture
def hybrid(database, store, use_store, valkey):
    """Give the SessionStore class of the hybrid engine, with empty stores."""
    use_store(valkey, HYBRID)
    return fresh(HYBRID)


def fresh(path):
    engine = import_module(path).SessionStore
    if isinstance(engine.store, HybridStore):
        engine.store.epochs.forget()
    return engine


@pytest.fixture
def new_session(engine):
    def new(**data) -> str:
        session = engine()
        session.update(data)
        session.save()
        return session.session_key

    return new
