"""A primary with replicas, and shards, as Django's databases of this process."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from tests.db.databases import create_tables, databases, replica_of, sharding

ENGINE = "scalekit.db.backends.postgresql"
NAME = "shop"
MIDDLEWARE = [
    "scalekit.db.middleware.ReadYourWrites",
    "django.contrib.sessions.middleware.SessionMiddleware",
]


def entry(server, **extra):
    return server.django_settings(**{"ENGINE": ENGINE, "NAME": NAME, "CONN_MAX_AGE": 60, **extra})


@pytest.fixture(autouse=True)
def shop(django_db_blocker):
    """The shop's models, in every test of this folder."""
    with (
        django_db_blocker.unblock(),
        override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.db.shop"]),
    ):
        yield


@contextmanager
def cluster(primary, replicas, engine=ENGINE, **extra):
    """Let Django read from `replicas` of `primary`, with the shop's tables there."""
    primary.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    primary.create_database(NAME)
    entries = {"default": entry(primary, ENGINE=engine)}
    for server in replicas:
        options = {"ENGINE": engine, "SCALEKIT": replica_of("default"), **extra}
        entries[server.name] = entry(server, **options)
    with databases(entries, MIDDLEWARE=MIDDLEWARE, ROOT_URLCONF="tests.integration.db.urls"):
        create_tables("default")
        create_tables("default", app="sessions")
        for server in replicas:
            server.catch_up()
        yield


@pytest.fixture
def replicated(postgres_primary, postgres_replicas):
    """The session's primary and its two replicas; pause their replay, but break nothing."""
    with cluster(postgres_primary, postgres_replicas):
        yield postgres_replicas


@pytest.fixture
def sharded(postgres_primary, postgres_shards):
    """A default database and two shards."""
    servers = {"default": postgres_primary} | {s.name: s for s in postgres_shards}
    names = [server.name for server in postgres_shards]
    for server in servers.values():
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.create_database(NAME)
    entries = {alias: entry(server) for alias, server in servers.items()}
    entries["oracle"] = entry(postgres_primary)
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*names)):
        create_tables("default", *names)
        yield {server.name: server for server in postgres_shards}


def backend_pid(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]
