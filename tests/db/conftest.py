from __future__ import annotations

import pytest
from django.conf import settings
from django.test import override_settings

from tests.db.databases import create_tables, databases, replica_of, sharding, sqlite


@pytest.fixture(autouse=True)
def shop(django_db_blocker):
    """The shop's models, in every test of this folder."""
    with (
        django_db_blocker.unblock(),
        override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.db.shop"]),
    ):
        yield


@pytest.fixture
def replicas(tmp_path):
    """One primary and two replicas, all the same SQLite file: what is routed where, without lag."""
    file = tmp_path / "default.sqlite3"
    entries = {
        "default": sqlite(file),
        "replica_1": sqlite(file, SCALEKIT=replica_of("default")),
        "replica_2": sqlite(file, SCALEKIT=replica_of("default")),
    }
    with databases(entries):
        create_tables("default")
        yield


@pytest.fixture
def unsharded(tmp_path):
    """One database for everything."""
    with databases({"default": sqlite(tmp_path / "default.sqlite3")}):
        create_tables("default")
        yield


@pytest.fixture
def shards(tmp_path):
    """A default database and three shards."""
    names = ("shard_0", "shard_1", "shard_2")
    entries = {name: sqlite(tmp_path / f"{name}.sqlite3") for name in ("default", *names)}
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*names)):
        create_tables("default", *names)
        yield names


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()
