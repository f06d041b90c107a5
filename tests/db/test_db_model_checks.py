"""System checks find sharded models that can never work, and say what to write."""

from __future__ import annotations

from itertools import count

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from scalekit.db import LooseForeignKey, ShardedModel, SnowflakeField, UUIDv7Field
from scalekit.db.sharding.checks import faults_of_model
from scalekit.db.sharding.generic import ShardedGenericForeignKey

MODULE = "tests.db.shop.models"  # the app these models pretend to belong to
NUMBERS = count()


def faults(base=ShardedModel, **attributes):
    """Return the ids of what is wrong with a model that has these attributes."""
    own = {"__module__": MODULE, "shard_group": "users", "shard_key": "owner"}
    id_ = SnowflakeField(primary_key=True)
    columns = {"id": id_, "owner": models.BigIntegerField()}
    model = type(f"Thing{next(NUMBERS)}", (base,), {**own, **columns, **attributes})
    return [fault.id.removeprefix("scalekit.db.") for fault in faults_of_model(model)]


@pytest.fixture(autouse=True)
def apart():
    with isolate_apps("tests.db.shop"):
        yield


def other(**attributes):
    return type(f"Other{next(NUMBERS)}", (models.Model,), {"__module__": MODULE, **attributes})


def sharded_other(key="owner", **attributes):
    own = {"__module__": MODULE, "shard_group": "users", "shard_key": key}
    columns = {"id": SnowflakeField(primary_key=True), "owner": models.BigIntegerField()}
    return type(f"Other{next(NUMBERS)}", (ShardedModel,), {**own, **columns, **attributes})


def meta(**options):
    return type("Meta", (), options)


def once(*fields, **options):
    return meta(constraints=[models.UniqueConstraint(*fields, name="once", **options)])


def test_a_sound_model_has_no_faults():
    assert faults() == []
    assert faults(id=UUIDv7Field(primary_key=True)) == []
    assert faults(id=models.UUIDField(primary_key=True)) == []


@pytest.mark.parametrize(
    "build",
    [
        lambda: {"email": models.EmailField(unique=True)},
        lambda: {"id": models.CharField(primary_key=True, max_length=9)},
        lambda: {"a": models.IntegerField(), "Meta": once(fields=["a"])},
        lambda: {"a": models.TextField(), "Meta": once(Lower("a"))},
        lambda: {
            "a": models.IntegerField(),
            "b": models.IntegerField(),
            "Meta": meta(unique_together=[("a", "b")]),
        },
        lambda: {"one": LooseForeignKey(other(), unique=True)},
    ],
    ids=["field", "id", "constraint", "expression", "together", "one to one"],
)
def test_what_each_shard_alone_would_keep_unique_is_found(build):
    assert faults(**build()) == ["E035"]


@pytest.mark.parametrize(
    "build",
    [
        lambda: {"email": models.EmailField(unique=True), "shard_lookups": ["email"]},
        lambda: {"email": models.EmailField(unique=True), "unique_within_shard": ["email"]},
        lambda: {"token": models.UUIDField(unique=True)},
        lambda: {"owner": models.BigIntegerField(unique=True)},
        lambda: {"a": models.IntegerField(), "Meta": once(fields=["owner", "a"])},
        lambda: {"a": models.TextField(), "Meta": once("owner", Lower("a"))},
        lambda: {
            "a": models.TextField(),
            "Meta": once(fields=["a"]),
            "unique_within_shard": ["once"],
        },
        lambda: {"one": models.OneToOneField(sharded_other(), models.CASCADE)},
        lambda: {
            "a": models.IntegerField(),
            "b": models.IntegerField(),
            "Meta": meta(unique_together=[("a", "b")]),
            "unique_within_shard": ["a+b"],
        },
        lambda: {
            "shard_key": "up__owner",
            "up": models.ForeignKey(sharded_other(), models.CASCADE),
            "a": models.IntegerField(),
            "Meta": once(fields=["up", "a"]),
        },
    ],
    ids=[
        "looked up",
        "meant",
        "uuid",
        "the key",
        "with the key",
        "expression with the key",
        "constraint meant",
        "one to one of the shard",
        "together meant",
        "with a row of the shard",
    ],
)
def test_what_is_unique_everywhere_is_let_through(build):
    assert faults(**build()) == []


@pytest.mark.parametrize(
    "column",
    [
        models.FloatField(),
        models.DecimalField(max_digits=9, decimal_places=2),
        models.JSONField(),
        models.DateTimeField(),
        models.BooleanField(),
    ],
)
def test_a_key_that_is_not_one_text_for_ever_is_found(column):
    assert faults(owner=column) == ["E036"]


def test_a_key_that_may_be_null_is_warned_of():
    assert faults(owner=models.BigIntegerField(null=True)) == ["W037"]


def test_a_path_to_no_column_is_found():
    up = models.ForeignKey(sharded_other(), models.CASCADE)
    assert faults(shard_key="up__nobody", up=up) == ["E013"]
    assert faults(shard_key="nobody__owner") == ["E013"]


def test_a_row_in_tables_that_live_apart_is_found():
    parent = other(id=models.UUIDField(primary_key=True))
    child = type(
        "Child",
        (ShardedModel, parent),
        {
            "__module__": MODULE,
            "owner": models.BigIntegerField(),
            "shard_group": "users",
            "shard_key": "owner",
        },
    )
    assert "scalekit.db.E037" in {fault.id for fault in faults_of_model(child)}


@pytest.mark.parametrize(
    ("lookups", "columns"),
    [
        (["nobody"], {}),
        (["name"], {"name": models.TextField()}),
        (["owner"], {"owner": models.BigIntegerField(unique=True)}),
        (["id"], {}),
        (["price"], {"price": models.DecimalField(max_digits=9, decimal_places=2, unique=True)}),
        (["at"], {"at": models.DateTimeField(unique=True)}),
    ],
)
def test_what_cannot_be_looked_up_is_found(lookups, columns):
    assert faults(shard_lookups=lookups, **columns) == ["E038"]


def test_a_column_of_a_parent_s_table_is_looked_up_there_alone():
    code = models.TextField(unique=True)
    parent = sharded_other(code=code, shard_lookups=["code"])
    assert list(faults_of_model(parent)) == []
    child = type("Child", (parent,), {"__module__": MODULE})
    assert "scalekit.db.E038" in {fault.id for fault in faults_of_model(child)}


def test_rows_that_lie_where_the_id_of_their_root_says_cannot_be_looked_up():
    tree = {
        "shard_key": "root",
        "root": models.ForeignKey("self", models.CASCADE),
        "code": models.TextField(unique=True),
    }
    assert faults(shard_lookups=["code"], **tree) == ["E038"]


def test_relations_to_other_databases_are_found_unless_they_say_so():
    there = other()
    assert faults(to=models.ForeignKey(there, models.CASCADE)) == ["E016", "E017"]
    assert faults(to=models.ForeignKey(there, models.DO_NOTHING)) == ["E016"]
    assert faults(to=LooseForeignKey(there)) == []
    assert faults(to=models.ManyToManyField(there)) == ["E016"]


def test_a_foreign_key_whose_joins_only_the_database_would_refuse_is_warned_of():
    plain = {"on_delete": models.DO_NOTHING, "db_constraint": False}
    assert faults(to=models.ForeignKey(other(), **plain)) == ["W038"]
    outside = other(to=models.ForeignKey(sharded_other(), **plain))
    assert [fault.id for fault in faults_of_model(outside)] == ["scalekit.db.W038"]
    assert faults(to=models.ForeignKey(sharded_other(), **plain)) == []


def test_relations_to_reference_tables_stay_on_the_shard():
    there = other(shard_reference=True)
    free = {"db_constraint": False}  # a row reaches the shards after it was committed
    assert faults(to=LooseForeignKey(there)) == []
    assert faults(to=models.ForeignKey(there, models.DO_NOTHING)) == ["E016"]
    assert faults(to=models.ForeignKey(there, models.CASCADE, **free)) == ["E017"]
    assert faults(to=models.ManyToManyField(there, **free)) == []
    assert faults(to=models.ManyToManyField(there)) == ["E016"]


def test_a_generic_relation_that_looks_for_types_on_the_shard_is_warned_of():
    columns = {
        "content_type": LooseForeignKey(ContentType),
        "object_id": models.BigIntegerField(),
    }
    assert faults(about=GenericForeignKey(), **columns) == ["W036"]
    assert faults(about=ShardedGenericForeignKey(), **columns) == []


def test_an_order_that_shards_cannot_keep_is_found():
    assert faults(Meta=meta(ordering=["owner", "-id"])) == []
    assert faults(Meta=meta(ordering=["?"])) == ["W035"]
