from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, router
from django.test import override_settings

from scalekit.db.conf import schemes
from scalekit.db.exceptions import StrayMigration
from tests.db.databases import create_tables, replica_of, sqlite
from tests.db.diary import hooks
from tests.db.diary_databases import diary, on_sqlite, run

SHARDS = ("shard_0", "shard_1")


@pytest.fixture
def shards(tmp_path):
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS):
        yield SHARDS


@pytest.fixture
def unmigrated(tmp_path):
    auth = ["django.contrib.auth"]
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS, ledger=False, more_apps=auth):
        yield SHARDS


def home(key):
    return schemes["users"].shard_for(key)


def keys_of(alias, count=3):
    return [key for key in range(1, 99) if home(key) == alias][:count]


def tables(alias):
    names = connections[alias].introspection.table_names()
    return {name for name in names if name.startswith(("diary_", "auth_", "django_content_type"))}


def written(alias):
    from tests.db.diary.models import Entry

    return dict(Entry.objects.using(alias).values_list("text", "words"))


def migrate(alias="default", *arguments):
    call_command("migrate", *arguments, database=alias, verbosity=0)


def test_plain_migrate_makes_each_database_s_own_tables(unmigrated):
    migrate()
    migrate("shard_1")
    assert {"diary_writer", "auth_user"} <= tables("default")
    assert not {"diary_entry", "diary_sticker"} & tables("default")
    assert tables("shard_1") == {"diary_entry", "diary_sticker"}
    assert tables("shard_0") == set()


def test_what_django_does_after_a_migration_it_does_not_do_on_a_shard(unmigrated):
    migrate("shard_0")
    migrate()
    migrate("shard_1")
    types = apps.get_model("contenttypes", "ContentType").objects.filter(app_label="diary")
    assert set(types.values_list("model", flat=True)) == {"writer", "entry", "sticker"}
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__in=types)
    assert permissions.count() == 12
    assert tables("shard_0") == tables("shard_1") == {"diary_entry", "diary_sticker"}


def test_a_data_migration_that_names_no_database_gets_each_shard_s_own_rows(shards):
    from tests.db.diary.models import Entry

    run("migrate_shards", "diary", "0001")
    for alias in shards:
        for key in keys_of(alias):
            with connections[alias].cursor() as cursor:
                sql = "INSERT INTO diary_entry (id, writer_id, text) VALUES (%s, %s, %s)"
                cursor.execute(sql, [key << 10, key, "of " * key])
    run("migrate_shards")
    for alias in shards:
        assert written(alias) == {"of " * key: key for key in keys_of(alias)}
    assert Entry.objects.scatter().count() == 6


def test_a_new_shard_runs_all_migrations_in_turn(shards):
    migrate("shard_0")
    assert tables("shard_0") == {"diary_entry", "diary_sticker"}


def test_a_row_created_in_a_migration_of_another_shard_is_refused(shards):
    foreign = keys_of("shard_1")[0]

    def create(alias, apps):
        if alias == "shard_0":
            apps.get_model("diary", "Entry").objects.create(writer_id=foreign, text="x")

    hooks.on_shards.append(create)
    with pytest.raises(StrayMigration, match="shard_for"):
        migrate("shard_0")


def test_each_shard_may_create_its_own_rows(shards):
    def create(alias, apps):
        for key in range(1, 9):
            if home(key) == alias:
                apps.get_model("diary", "Entry").objects.create(writer_id=key, text=f"{key}")
                apps.get_model("diary", "Sticker")(writer_id=key).save()

    hooks.on_shards.append(create)
    run("migrate_shards")
    assert {text for alias in shards for text in written(alias)} == {f"{k}" for k in range(1, 9)}


def test_unsharded_rows_may_be_read_while_a_shard_is_migrated_but_not_written(shards):
    create_tables("default", app="diary")
    from tests.db.diary.models import Writer

    Writer.objects.create(name="Ann")
    read = []

    def count(alias, apps):
        writers = apps.get_model("diary", "Writer").objects
        read.append(writers.get().name)
        writers.update(entries=1)

    hooks.on_shards.append(count)
    with pytest.raises(StrayMigration, match=r'hints=\{"shard_group": None\}'):
        migrate("shard_0")
    assert read == ["Ann"]
    assert Writer.objects.get().entries == 0


def test_sharded_rows_are_not_looked_for_on_default(unmigrated):
    hooks.anywhere.append(lambda alias, apps: list(apps.get_model("diary", "Entry").objects.all()))
    migrate("shard_0")
    with pytest.raises(StrayMigration, match=r'hints=\{"shard_group": \'users\'\}'):
        migrate()


def test_a_migration_without_a_hint_runs_on_default_and_on_each_shard(unmigrated):
    ran = []
    hooks.anywhere.append(lambda alias, apps: ran.append(alias))
    migrate()
    run("migrate_shards")
    assert sorted(ran) == ["default", *unmigrated]


def operation(app, alias, **hints):
    return router.allow_migrate(alias, app, **hints)


@pytest.mark.parametrize(
    ("app", "on_default", "on_a_shard"),
    [
        ("contenttypes", True, False),
        ("diary", True, True),
        ("drawer", False, True),
        ("scalekit_queue", True, True),
    ],
)
def test_an_operation_without_a_model_runs_where_its_app_has_tables(
    tmp_path, app, on_default, on_a_shard
):
    others = ["tests.db.drawer", "scalekit.queue"]
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS, ledger=False, more_apps=others):
        assert operation(app, "default") is on_default
        assert operation(app, "shard_0") is on_a_shard


def test_a_hint_names_the_group_whose_shards_are_meant(shards):
    assert operation("diary", "shard_0", shard_group="users")
    assert not operation("diary", "default", shard_group="users")
    assert not operation("diary", "shard_0", shard_group=None)
    assert operation("diary", "default", shard_group=None)
    assert operation("contenttypes", "shard_0", shard_group="users")
    assert operation("contenttypes", "default", shard_group="posts")
    assert not operation("contenttypes", "shard_0", shard_group="posts")


def test_a_model_whose_class_is_gone_is_made_and_removed_on_shards_alone(shards):
    migrate("default", "diary", "0004")
    migrate("shard_0", "diary", "0004")
    assert "diary_sketch" in tables("shard_0")
    assert "diary_sketch" not in tables("default")
    migrate("default", "diary")
    migrate("shard_0", "diary")
    assert tables("shard_0") == {"diary_entry", "diary_sticker"}


def test_one_whose_id_does_not_tell_its_group_is_removed_where_it_was_made(shards):
    for alias in ("default", "shard_0"):
        migrate(alias, "diary", "0004")
    with connections["shard_0"].cursor() as cursor:  # as it was when the class was there
        cursor.execute("CREATE TABLE diary_doodle (id text)")
    for alias in ("default", "shard_0"):
        migrate(alias, "diary")
        assert "diary_doodle" not in tables(alias)


def test_squashed_migrations_leave_old_and_new_shards_alike(shards):
    migrate("shard_0", "diary")
    with override_settings(MIGRATION_MODULES={"diary": "tests.db.diary.squashed"}):
        assert "shard_1: diary.everything" in run("migrate_shards", "diary", plan=True)
        run("migrate_shards")
        run("migrate_shards", check=True)


def test_makemigrations_opens_no_replica(tmp_path):
    entries = on_sqlite(tmp_path, *SHARDS)
    entries["replica"] = sqlite(tmp_path / "no" / "such" / "folder", SCALEKIT=replica_of("shard_0"))
    with diary(entries, SHARDS):
        run("makemigrations", "diary", check=True, stdout=None)


def test_an_app_without_migrations_gets_its_tables_as_django_makes_them(tmp_path):
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS, ledger=False, more_apps=["tests.db.drawer"]):
        for alias in ("default", "shard_0"):
            call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
            there = "drawer_drawing" in connections[alias].introspection.table_names()
            assert there is (alias == "shard_0")
