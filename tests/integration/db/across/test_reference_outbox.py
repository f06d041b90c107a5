"""The outbox carries rows of reference tables from PostgreSQL to whatever the shards are."""

from __future__ import annotations

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference import delivering
from scalekit.db.sharding.reference.noting import waiting
from tests.db.databases import create_tables, databases, sharding, sqlite
from tests.db.market import writes
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers

SHARDS = ("shard_0", "shard_1")  # SQLite and PostgreSQL


@pytest.fixture(scope="module")
def entries(across_server, tmp_path_factory):
    names = {"default": "outbox_default", "shard_1": "outbox_shard_1"}
    for name in names.values():
        across_server.create_database(name)
    made = {alias: entry(across_server, NAME=name) for alias, name in names.items()}
    return made | {"shard_0": sqlite(tmp_path_factory.mktemp("outbox") / "shard_0.sqlite3")}


@pytest.fixture
def market(entries, shop):
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases(entries, SCALEKIT_DB_SHARDING=sharding(*SHARDS)),
    ):
        if not connections["default"].introspection.table_names():
            for app in ("market", "scalekit_db"):
                create_tables("default", *SHARDS, app=app)
        delivering.breaker_of.cache_clear()
        from tests.db.market.models import Currency, Region

        Region.objects.create(name="north")
        Currency.objects.bulk_create([Currency(code=code) for code in ("EUR", "USD")])
        yield Currency
        Currency.objects.all().delete()
        Region.objects.all().delete()
        connections.close_all()


def run(*arguments):
    out = StringIO()
    call_command("reference_tables", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    "write",
    [writes.write_bulk_create_updating, writes.write_cascade_to_pairs, writes.write_fixture],
    ids=lambda write: write.__name__,
)
def test_copies_of_either_kind_are_equal_to_the_table(market, write):
    write(market)
    assert run("verify").count("3 tables are equal") == 2


def test_what_differs_is_named_and_mended_on_either_kind_of_shard(market):
    euro = market.objects.get(code="EUR")
    for alias in SHARDS:
        with connections[alias].cursor() as cursor:
            cursor.execute("UPDATE market_currency SET rate = 99 WHERE code = 'EUR'")
    with pytest.raises(CommandError, match="repair"):
        run("verify")
    assert run("repair").count(f"differs in {euro.pk}\n") == 2
    assert run("verify").count("3 tables are equal") == 2


def test_whoever_brings_and_hangs_holds_up_no_writer_for_long(market, monkeypatch):
    monkeypatch.setattr(delivering, "PATIENCE", "100ms")
    market.objects.create(code="GBP")
    with own_connection("shard_1") as hanging:
        hanging.set_autocommit(False)
        with hanging.cursor() as cursor:
            cursor.execute("UPDATE scalekit_db_referencelock SET taken_at = now()")
        market.objects.create(code="CHF")
        assert waiting("shard_1") == 1
        hanging.rollback()
    delivering.bring("shard_1")
    assert run("verify").count("3 tables are equal") == 2


def test_there_is_no_replication_to_drop(market):
    with pytest.raises(CommandError, match="Only PostgreSQL"):
        run("drop")
