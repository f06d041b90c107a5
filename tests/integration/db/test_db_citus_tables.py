"""The tables that Django has made, ready for Citus: the part that PostgreSQL alone can carry out, and the whole.

The whole runs where SCALEKIT_TEST_CITUS_DSN names the coordinator of a cluster, as
postgresql://user:password@host:5432/database; that database is emptied.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import connections

from scalekit.db.sharding.citus.cluster import as_written, constraints_of
from scalekit.db.sharding.citus.ddl import statements
from tests.db.databases import create_tables, databases
from tests.integration.db.conftest import NAME, entry

KEYS = {
    "shop_order": "customer_id",
    "shop_line": "customer_id",
    "shop_review": "customer_id",
    "shop_reply": "customer_id",
}
CITUS = {"users": {"BACKEND": "scalekit.db.sharding.citus.Citus"}}
DSN = os.environ.get("SCALEKIT_TEST_CITUS_DSN", "")


@pytest.fixture
def connection(postgres_primary):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    postgres_primary.create_database(NAME)
    with databases({"default": entry(postgres_primary)}):
        create_tables("default")
        with connections["default"].cursor() as cursor:  # their rows have no column with the key
            cursor.execute("DROP TABLE shop_gift, shop_album_orders")
        yield connections["default"]


def plan(connection):
    return statements(
        keys=KEYS,
        references=[],
        constraints=constraints_of(connection, list(KEYS)),
        shard_count=32,
        quote=connection.ops.quote_name,
    )


def prepare(connection):
    """Run what PostgreSQL itself understands of a plan."""
    with connection.cursor() as cursor:
        for statement in plan(connection):
            if statement.startswith("ALTER TABLE"):
                cursor.execute(statement)


def test_names_of_tables_are_those_of_their_constraints(connection):
    with connection.cursor() as cursor:
        cursor.execute('CREATE TABLE "Shop_Order" (id bigint PRIMARY KEY)')
    names = as_written(connection, ["shop_order", "Shop_Order"])
    assert names == {"shop_order": "shop_order", "Shop_Order": '"Shop_Order"'}
    tables = {constraint.table for constraint in constraints_of(connection, list(names))}
    assert set(names.values()) <= tables


def columns(connection, kind):
    found = constraints_of(connection, list(KEYS))
    return {(c.table, c.columns) for c in found if c.kind == kind and c.table in KEYS}


def test_every_primary_key_and_unique_constraint_has_the_shard_key_afterwards(connection):
    prepare(connection)
    assert {("shop_order", ("id", "customer_id")), ("shop_line", ("id", "customer_id"))} <= columns(
        connection, "p"
    )
    assert columns(connection, "u") == {
        ("shop_order", ("token", "customer_id")),
        ("shop_order", ("customer_id", "note")),
    }


def test_foreign_keys_between_distributed_tables_have_it_on_both_sides(connection):
    prepare(connection)
    assert ("shop_line", ("order_id", "customer_id")) in columns(connection, "f")


def test_a_second_plan_changes_no_key_again(connection):
    prepare(connection)
    assert not any("PRIMARY KEY" in statement for statement in plan(connection))


def test_the_constraints_still_hold(connection):
    prepare(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO shop_review (id, customer_id) VALUES ('7d1f8a9e-5b3c-4f60-9d57-0d8c7a4f0b11', 7)"
        )
        with pytest.raises(Exception, match="shop_reply_review_id"):
            cursor.execute(
                "SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO shop_reply (id, customer_id, review_id) VALUES "
                "('7d1f8a9e-5b3c-4f60-9d57-0d8c7a4f0b12', 8, '7d1f8a9e-5b3c-4f60-9d57-0d8c7a4f0b11')"
            )


SETTINGS = """
import os
from example_project.settings.stage_1_one_server import *
from example_project.settings.environment import postgresql
DATABASES = {"default": postgresql(os.environ["SCALEKIT_TEST_CITUS_DSN"])}
SCALEKIT_DB_SHARDING = {"users": {"BACKEND": "scalekit.db.sharding.citus.Citus"}}
"""
STORY = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from example_project.photos.models import Comment, Photo
with connection.cursor() as cursor:
    cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION IF NOT EXISTS citus")
call_command("migrate", verbosity=0)
early = Photo.objects.create(owner_id=7, image="early.jpg")
call_command("citus", "distribute")
late = Photo.objects.create(owner_id=8, image="late.jpg")
Comment.objects.create(owner_id=8, photo=late, author_id=1, text="in time")
assert Photo.objects.get(pk=early.pk) == early
assert {c.text for c in Comment.objects.filter(photo__image="late.jpg")} == {"in time"}
assert list(Photo.objects.scatter().order_by("-id")) == [late, early]
call_command("citus", "distribute")
call_command("citus", "isolate", "7")
assert Photo.objects.get(owner_id=7) == early
call_command("citus", "status")
"""


@pytest.mark.skipif(not DSN, reason="other server: SCALEKIT_TEST_CITUS_DSN names no Citus cluster")
def test_the_photos_of_the_example_live_on_a_citus_cluster(tmp_path):
    (tmp_path / "on_citus.py").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
            "DJANGO_SETTINGS_MODULE": "on_citus",
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "photos_photo: distributed by owner_id" in done.stdout
