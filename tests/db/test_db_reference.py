"""Rows of reference tables reach every shard through an outbox, and are joined there."""

# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import sqlite3
import unittest
from decimal import Decimal
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections, models, transaction
from django.db.models import F, Sum
from django.test import TestCase, override_settings
from django.test.utils import isolate_apps

from scalekit.db import ReferenceModel, ShardedModel, shard_atomic
from scalekit.db.checks import check_reference_models
from scalekit.db.conf import schemes
from scalekit.db.exceptions import WriteOnCopy
from scalekit.db.sharding.reference.checks import faults_of_reference_model
from scalekit.db.sharding.reference.delivering import breaker_of, bring
from scalekit.db.sharding.reference.noting import waiting
from tests.db.databases import create_tables, databases, rolled_back, sharding, sqlite
from tests.db.market.writes import WRITES

SHARDS = ("shard_0", "shard_1")


@pytest.fixture
def market(tmp_path):
    entries = {
        name: sqlite(tmp_path / f"{name}.sqlite3", OPTIONS={"timeout": 0.1})
        for name in ("default", *SHARDS)
    }
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases(entries, SCALEKIT_DB_SHARDING=sharding(*SHARDS), SCALEKIT_DB_RETRY_SECONDS=0.001),
    ):
        create_tables("default", *SHARDS, app="market")
        create_tables("default", *SHARDS, app="scalekit_db")
        breaker_of.cache_clear()
        yield tmp_path


def currency(code="EUR", **values):
    from tests.db.market.models import Currency

    return Currency.objects.create(code=code, **values)


def rows(alias, model="Currency"):
    from tests.db.market import models

    return list(getattr(models, model).objects.using(alias).order_by("pk").values_list())


def assert_equal(model="Currency"):
    assert rows("shard_0", model) == rows("shard_1", model) == rows("default", model)


@pytest.fixture
def locked(market):
    """One shard that takes no writes."""
    connection = sqlite3.connect(market / "shard_1.sqlite3", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_row_that_is_saved_is_on_every_shard(market):
    euro = currency()
    assert_equal()
    euro.rate = Decimal("1.1")
    euro.save()
    assert_equal()
    euro.delete()
    assert rows("shard_0") == rows("default") == []


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_every_way_of_writing_reaches_every_shard(market, write):
    from tests.db.market.models import Currency, Region

    region = Region.objects.create(name="north")
    currency("EUR", region=region)
    currency("USD")
    before = rows("default"), list(Currency.accepted_in.through.objects.values_list())
    write(Currency)
    assert before != (rows("default"), list(Currency.accepted_in.through.objects.values_list()))
    assert_equal()
    assert_equal("Region")
    pairs = Currency.accepted_in.through.objects
    assert list(pairs.using("shard_0").values_list()) == list(pairs.values_list())
    assert waiting("shard_0") == waiting("shard_1") == 0


def test_what_is_rolled_back_reaches_no_shard(market):
    with rolled_back():
        currency()
    assert rows("shard_0") == []
    assert waiting("shard_0") == 0


def test_what_is_written_in_a_transaction_waits_for_its_commit(market):
    with transaction.atomic():
        currency()
        assert rows("shard_0") == []
        assert waiting("shard_0") == 1
    assert_equal()


def test_a_shard_with_an_open_transaction_gets_its_rows_after_it(market):
    from tests.db.market.models import Sale

    with shard_atomic("users", seller_on("shard_0")):
        euro = currency()
        Sale.objects.create(seller_id=seller_on("shard_0"), price=1, currency=euro)
        currency("USD")
        assert waiting("shard_0") == waiting("shard_1") == 2
    assert_equal()
    with pytest.raises(ZeroDivisionError), shard_atomic("users", seller_on("shard_0")):
        currency("GBP")
        1 / 0  # noqa: B018 - raises
    assert waiting("shard_0") == 1
    currency("CHF")
    assert_equal()


def test_a_locked_shard_gets_its_rows_with_the_next_write(locked):
    currency("EUR")
    assert len(rows("shard_0")) == 1
    assert rows("shard_1") == []
    assert waiting("shard_1") == 1
    locked.execute("ROLLBACK")
    currency("USD")
    assert_equal()


def test_a_locked_shard_gets_its_rows_by_repair(locked):
    euro = currency("EUR")
    euro.rate = 7
    euro.save()
    with pytest.raises(SystemExit):
        call_command("reference_tables", "status", stdout=StringIO())
    with pytest.raises(CommandError):
        call_command("reference_tables", "repair", stdout=StringIO())
    locked.execute("ROLLBACK")
    out = StringIO()
    call_command("reference_tables", "repair", "--dry-run", stdout=out)
    assert f"shard_1: {waiting('shard_1')} changes to be brought" in out.getvalue()
    assert rows("shard_1") == []
    call_command("reference_tables", "repair", stdout=StringIO())
    assert_equal()
    call_command("reference_tables", "status", stdout=StringIO())


def test_two_rows_that_swap_a_unique_value_arrive(locked):
    euro, dollar = currency("EUR"), currency("USD")
    locked.execute("ROLLBACK")
    bring("shard_1")
    locked.execute("BEGIN IMMEDIATE")
    for row, code in ((euro, "X"), (dollar, "EUR"), (euro, "USD")):
        row.code = code
        row.save()
    locked.execute("ROLLBACK")
    from scalekit.db.sharding.reference.ledger import ReferenceChange

    ReferenceChange.objects.filter(keys=[str(euro.pk)]).delete()  # the other half is lost
    bring("shard_1")
    assert_equal()


def test_a_row_that_refers_to_one_noted_much_later_arrives(locked, monkeypatch):
    from tests.db.market.models import Region

    monkeypatch.setattr("scalekit.db.sharding.reference.delivering.BATCH", 1)
    euro = currency()
    euro.region = Region.objects.create(name="north")
    euro.save()
    locked.execute("ROLLBACK")
    bring("shard_1")
    assert_equal()
    assert waiting("shard_1") == 0


def test_an_older_state_never_overwrites_a_newer_one(market, monkeypatch):
    """Whoever brings reads after it holds the shard: what was written meanwhile is brought as well."""
    from scalekit.db.sharding.reference import delivering
    from tests.db.market.models import Currency

    euro = currency()
    hold = delivering._hold

    def write_first(alias):
        monkeypatch.setattr(delivering, "_hold", hold)
        Currency.objects.filter(pk=euro.pk).update(rate=8)
        hold(alias)

    monkeypatch.setattr(delivering, "deliver", lambda: None)
    euro.rate = 5
    euro.save()
    monkeypatch.setattr(delivering, "_hold", write_first)
    bring("shard_0")
    assert rows("shard_0") == rows("default")


def test_verify_names_the_rows_that_differ_and_repair_mends_them(market):
    for code in ("EUR", "USD", "GBP"):
        currency(code)
    with connections["shard_1"].cursor() as cursor:
        cursor.execute("UPDATE market_currency SET rate = 9 WHERE id = 2")
        cursor.execute("DELETE FROM market_currency WHERE id = 3")
        cursor.execute(
            "INSERT INTO market_currency (id, code, rate, changed_at) VALUES (77, 'X', 1, '2020-01-01')"
        )
    out = StringIO()
    with pytest.raises(CommandError, match="repair"):
        call_command("reference_tables", "verify", stdout=out)
    assert "shard_1: market.Currency differs in 2, 3, 77" in out.getvalue()
    assert "shard_0: 3 tables are equal" in out.getvalue()
    call_command("reference_tables", "repair", stdout=out)
    assert_equal()


def test_a_new_shard_is_filled_by_setup(market):
    currency()
    for alias in SHARDS:
        with connections[alias].cursor() as cursor:
            cursor.execute("DELETE FROM market_currency")
    call_command("reference_tables", "setup", "--dry-run", stdout=StringIO())
    assert rows("shard_0") == []
    call_command("reference_tables", "setup", stdout=StringIO())
    assert_equal()


def test_a_copy_is_not_written(market):
    from tests.db.market.models import Currency

    euro = currency()
    there = Currency.objects.using("shard_0")
    for write in (
        lambda: there.create(code="A"),
        lambda: there.update(rate=2),
        there.all().delete,
        lambda: there.bulk_create([Currency(code="A")]),
        lambda: euro.save(using="shard_0"),
        lambda: euro.delete(using="shard_0"),
    ):
        with pytest.raises(WriteOnCopy, match="Leave out using"):
            write()


def test_a_copy_that_was_read_is_saved_on_default(market):
    from tests.db.market.models import Currency

    currency()
    copy = Currency.objects.using("shard_0").get()
    copy.rate = 4
    copy.save()
    assert copy._state.db == "default"
    assert_equal()


def test_a_primary_key_stays(market):
    from tests.db.market.models import Currency

    currency()
    with pytest.raises(WriteOnCopy, match="primary key"):
        Currency.objects.update(id=9)


def seller_on(alias):
    return next(k for k in range(1, 500) if schemes["users"].shard_for(k) == alias)


def test_sharded_queries_join_the_copy(market):
    from tests.db.market.models import Currency, Sale

    euro, dollar = currency("EUR", rate=2), currency("USD")
    for alias in SHARDS:
        for money in (euro, dollar):
            Sale.objects.create(seller_id=seller_on(alias), price=10, currency=money)
    mine = Sale.objects.filter(seller_id=seller_on("shard_1"))
    assert mine.get(currency__code="EUR").currency == euro
    with transaction.atomic(using="default"):
        sale = mine.select_related("currency").order_by("currency__code").first()
        assert sale.currency.code == "EUR"
        assert sale.currency._state.db == "shard_1"
    value = mine.annotate(value=F("price") * F("currency__rate")).aggregate(Sum("value"))
    assert value == {"value__sum": 30}
    assert mine.filter(currency__in=Currency.objects.filter(rate__gt=1)).count() == 1
    assert {sale.currency.code for sale in mine.prefetch_related("currency")} == {"EUR", "USD"}
    assert Sale.objects.scatter().filter(currency__code="EUR").count() == 2


def test_read_alone_it_comes_from_default(market):
    from tests.db.market.models import Currency, Sale

    sale = Sale.objects.create(seller_id=seller_on("shard_0"), price=1, currency=currency())
    assert Currency.objects.all().db == "default"
    assert Sale.objects.get(pk=sale.pk).currency._state.db == "default"


def test_a_test_case_sees_the_copies_at_once(market):
    class Case(TestCase):
        databases = {"default", *SHARDS}

        def runTest(self):  # noqa: N802 - unittest's name
            from tests.db.market.models import Sale

            with shard_atomic("users", seller_on("shard_0")):
                euro = currency()
                Sale.objects.create(seller_id=seller_on("shard_0"), price=1, currency=euro)
                currency("USD")
            assert rows("default") != []
            assert_equal()

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert not [*result.errors, *result.failures]
    assert rows("shard_0") == rows("default") == []


def test_what_cannot_be_copied_is_found_by_checks(market):
    with isolate_apps("tests.db.market"):
        from tests.db.market.models import Currency

        class Plain(models.Model):
            class Meta:
                app_label = "market"

        class Wrong(ReferenceModel):
            plain = models.ForeignKey(Plain, models.CASCADE)
            objects = models.Manager()

            class Meta:
                app_label = "market"

        class Child(Wrong):
            class Meta:
                app_label = "market"

        class Tied(ShardedModel):
            currency = models.ForeignKey(Currency, models.DO_NOTHING)
            shard_group, shard_key = "users", "id"

            class Meta:
                app_label = "market"

        found = [
            {fault.id for fault in faults_of_reference_model(model)}
            for model in (Currency, Wrong, Child, Tied)
        ]
    assert found == [
        set(),
        {"scalekit.db.E052", "scalekit.db.E053"},
        {"scalekit.db.E053", "scalekit.db.E054"},
        {"scalekit.db.W052"},
    ]
    assert check_reference_models() == []
