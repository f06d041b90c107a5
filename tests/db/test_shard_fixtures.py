from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest
from django.conf import settings
from django.core import serializers
from django.core.management import CommandError
from django.db import connections
from django.test import override_settings

from scalekit.db.conf import schemes
from scalekit.db.exceptions import LookupTaken, WrongShard
from tests.db.club_databases import club, club_databases, files
from tests.db.databases import create_tables, databases, sharding
from tests.db.diary_databases import on_sqlite, run


def shop():
    from tests.db.shop import models

    return models


def home(key):
    return schemes["users"].shard_for(key)


def rows(model):
    """Return alias -> ids, as the databases themselves say."""
    return {
        alias: set(model.objects.using(alias).values_list("pk", flat=True))
        for alias in schemes["users"].shards
    }


@pytest.fixture
def orders(shards):
    shop().Customer.objects.create(name="Ann")
    for key in range(1, 10):
        order = shop().Order.objects.create(customer_id=key, note=f"é {key}")
        album = shop().Album.objects.create(customer_id=key)
        album.orders.add(order)
    return rows(shop().Order)


@pytest.fixture
def emptied(orders):
    """The databases without the rows that `orders` had, and a function that dumps before."""

    def dump(*arguments, **options):
        text = run("dumpdata", *arguments, "shop", **options)
        for alias in schemes["users"].shards:
            for model in (shop().Album.orders.through, shop().Album, shop().Order):
                model.objects.using(alias).all().delete()
        shop().Customer.objects.all().delete()
        assert not any(rows(shop().Order).values())
        return text

    return dump


@pytest.mark.parametrize("format_", ["json", "jsonl", "xml", "yaml"])
def test_what_is_dumped_can_be_loaded_and_lies_where_it_lay(orders, emptied, tmp_path, format_):
    fixture = tmp_path / f"shop.{format_}"
    fixture.write_text(emptied(format=format_))
    run("loaddata", str(fixture))
    assert rows(shop().Order) == orders
    assert shop().Customer.objects.get().name == "Ann"
    order = shop().Order.objects.get(customer_id=3)
    assert order.note == "é 3"
    assert list(order.albums.filter(customer_id=3)) == [shop().Album.objects.get(customer_id=3)]


def test_a_dump_may_be_written_to_a_file_and_indented(orders, tmp_path):
    run("dumpdata", "shop", output=str(tmp_path / "shop.json"), indent=2)
    found = json.loads((tmp_path / "shop.json").read_text())
    assert sorted(row["model"] for row in found) == sorted(
        ["shop.customer", *["shop.order", "shop.album"] * 9]
    )


def test_while_a_table_is_being_sharded_its_rows_are_dumped_once(tmp_path):
    """From `default`, where they lie, and not from the shards, to which they are copied."""
    groups = sharding("shard_0")
    groups["users"]["OPTIONS"]["starts_on"] = "default"
    with databases(on_sqlite(tmp_path, "shard_0"), SCALEKIT_DB_SHARDING=groups):
        create_tables("default", "shard_0")
        shop().Order.objects.create(pk=1, customer_id=7, note="new")
        with connections["shard_0"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO shop_order (id, customer_id, note, paid) VALUES (1, 7, 'old', 0)"
            )
        assert [row["fields"]["note"] for row in json.loads(run("dumpdata", "shop"))] == ["new"]


def test_a_command_of_an_app_below_keeps_its_options(monkeypatch, unsharded, tmp_path):
    """As `loaddata --populate` of django-modeltranslation does."""
    fixture = tmp_path / "shop.json"
    fixture.write_text("[]")
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.db.translated"]):
        ours = import_module("scalekit.db.management.commands.loaddata").__name__
        monkeypatch.delitem(sys.modules, ours)  # to be read anew, as in a new process
        with pytest.warns(RuntimeWarning, match="No fixture data"):
            assert "populated" in run("loaddata", str(fixture), populate=True)


def test_nothing_is_a_fixture_too(shards):
    assert json.loads(run("dumpdata", "shop")) == []


def test_a_shard_that_cannot_be_dumped_is_named(orders, tmp_path):
    with connections["shard_1"].cursor() as cursor:
        cursor.execute("DROP TABLE shop_album_orders")
        cursor.execute("DROP TABLE shop_order")
    with pytest.raises(CommandError, match="shard_1: Unable to serialize database"):
        run("dumpdata", "shop", output=str(tmp_path / "shop.json"))
    assert not (tmp_path / "shop.json").exists()


def test_one_database_is_dumped_as_django_does(orders):
    found = json.loads(run("dumpdata", "shop.order", database="shard_1"))
    assert {row["pk"] for row in found} == orders["shard_1"]
    assert json.loads(run("dumpdata", "shop.order", database="default")) == []


def test_one_database_gets_its_part_of_a_fixture(orders, emptied, tmp_path):
    fixture = tmp_path / "shop.json"
    fixture.write_text(emptied())
    assert "(of 19)" in run("loaddata", str(fixture), database="shard_1")
    assert rows(shop().Order) == {
        alias: orders[alias] if alias == "shard_1" else set() for alias in orders
    }
    assert not shop().Customer.objects.exists()


def test_loading_a_row_again_changes_it_and_adds_none(orders, tmp_path):
    fixture = tmp_path / "shop.json"
    fixture.write_text(run("dumpdata", "shop").replace("Ann", "Ben"))
    run("loaddata", str(fixture))
    assert rows(shop().Order) == orders
    assert shop().Customer.objects.get().name == "Ben"


def test_a_reference_row_is_dumped_once_and_loaded_where_it_is_written(tmp_path):
    names = ("shard_0", "shard_1")
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases(on_sqlite(tmp_path, *names), SCALEKIT_DB_SHARDING=sharding(*names)),
    ):
        for app in ("market", "scalekit_db"):
            create_tables("default", *names, app=app)
        from tests.db.market.models import Region

        region = Region.objects.create(name="north")
        fixture = tmp_path / "market.json"
        fixture.write_text(run("dumpdata", "market"))
        assert len(json.loads(fixture.read_text())) == 1
        region.delete()
        assert not Region.objects.using("shard_1").exists()
        run("loaddata", str(fixture))
        assert Region.objects.get().name == "north"
        assert Region.objects.using("shard_1").get().name == "north"


def test_a_loaded_row_is_found_by_its_unique_values(tmp_path):
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        members = club().Member.objects
        for family in range(1, 5):
            members.create(family=family, email=f"{family}@example.org")
        fixture = tmp_path / "club.json"
        fixture.write_text(run("dumpdata", "club.member"))
        members.scatter().delete()
        run("loaddata", str(fixture))
        assert members.get(email="3@example.org").family == 3
        with pytest.raises(LookupTaken):
            members.create(family=5, email="3@example.org")


def test_a_row_without_a_key_is_refused(shards, tmp_path):
    fixture = tmp_path / "shop.json"
    fixture.write_text('[{"model": "shop.review", "fields": {}}]')
    with pytest.raises(CommandError, match="names no shard"):
        run("loaddata", str(fixture))


def test_another_loader_cannot_put_a_row_where_nobody_would_find_it(shards):
    order = shop().Order(
        pk=shop().Order._meta.pk.get_pk_value_on_save(shop().Order(customer_id=1)), customer_id=1
    )
    text = serializers.serialize("json", [order])
    (row,) = serializers.deserialize("json", text)
    elsewhere = next(alias for alias in shards if alias != home(1))
    with pytest.raises(WrongShard, match="loaddata of scalekit"):
        row.save(using=elsewhere)
    assert not any(rows(shop().Review).values())
    row.save(using=home(1))


@pytest.mark.parametrize(
    "arguments",
    [["loaddata", "-"], ["dumpdata", "--format=pickled"], ["dumpdata", "-o", "x.json.gz"]],
)
def test_what_several_databases_cannot_do_in_one_file_is_refused(shards, arguments):
    with pytest.raises(CommandError, match="--database"):
        run(*arguments)


def test_without_shards_both_commands_are_django_s(unsharded, tmp_path):
    order = shop().Order.objects.create(customer_id=7)
    fixture = tmp_path / "shop.json"
    fixture.write_text(run("dumpdata", "shop"))
    order.delete()
    assert run("loaddata", str(fixture)) == "Installed 1 object(s) from 1 fixture(s)\n"
    assert shop().Order.objects.get().customer_id == 7
