"""A site whose tables are still to be sharded: `default` with rows, and two shards without."""

from __future__ import annotations

import pytest
from django.db import connections

from tests.db.databases import create_tables, databases
from tests.integration.db.conftest import NAME, entry
from tests.integration.db.splitting.site import CUSTOMERS, shop

TABLES = (
    "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"
)
EMPTY = "shop_before_split"
APPS = ["scalekit.db", "tests.db.shop"]


@pytest.fixture(scope="session")
def servers(postgres_primary, postgres_shards, django_db_blocker):
    """The servers by alias, each with a database that has the tables and no rows."""
    servers = {"default": postgres_primary} | {s.name: s for s in postgres_shards}
    for server in servers.values():
        server.execute(f"DROP DATABASE IF EXISTS {EMPTY} WITH (FORCE)")
        server.create_database(EMPTY)
    entries = {alias: entry(server, NAME=EMPTY) for alias, server in servers.items()}
    with django_db_blocker.unblock(), databases(entries, INSTALLED_APPS=APPS):
        create_tables("default", app="scalekit_db")
        create_tables(*entries)
    return servers


@pytest.fixture
def configuration(servers, postgres_shards):
    """DATABASES and the group's setting, with the tables everywhere and rows on default alone."""
    default = servers["default"]
    default.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    default.execute(f"CREATE DATABASE {NAME} TEMPLATE {EMPTY}")
    for server in postgres_shards:  # nothing but rows comes to them, or goes
        tables = server.value(TABLES, database=EMPTY)
        server.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE", database=EMPTY)
    options = {"shards": [s.name for s in postgres_shards], "slots": 64, "starts_on": "default"}
    sharding = {"users": {"BACKEND": "scalekit.db.sharding.slots.Slots", "OPTIONS": options}}
    entries = {s.name: entry(s, NAME=EMPTY) for s in postgres_shards}
    entries["default"] = entry(default)
    with databases(entries, SCALEKIT_DB_SHARDING=sharding, INSTALLED_APPS=APPS):
        yield entries, sharding
        for alias in entries:
            connections[alias].close()


@pytest.fixture
def site(configuration):
    """Orders with counted ids as before, with what hangs on them."""
    models = shop()
    models.Order.objects.bulk_create(
        models.Order(id=n, customer_id=n % CUSTOMERS, note=f"{n}\ta\\b", items=n)
        for n in range(1, 201)
    )
    models.Line.objects.bulk_create(
        models.Line(id=n, customer_id=n % CUSTOMERS, order_id=n, amount=n) for n in range(1, 101)
    )
    few = range(1, 21)
    models.Gift.objects.bulk_create(models.Gift(id=n, order_id=n) for n in few)
    models.Album.objects.bulk_create(models.Album(id=n, customer_id=n % CUSTOMERS) for n in few)
    pairs = models.Album.orders.through
    pairs.objects.bulk_create(pairs(album_id=n, order_id=n) for n in few)
    reviews = models.Review.objects.bulk_create(models.Review(customer_id=n) for n in few)
    models.Reply.objects.bulk_create(
        models.Reply(customer_id=review.customer_id, review=review) for review in reviews
    )
    return configuration
