from __future__ import annotations

import threading

import pytest
from django.core.management import CommandError
from django.db import InterfaceError, connections

from scalekit.db.sharding.mapping.models import ShardMap
from scalekit.db.sharding.migrating import ledger, running
from scalekit.db.sharding.migrating.models import ShardMigration, State
from scalekit.testing.fakes import captured_events
from tests.db.diary import hooks
from tests.db.diary_databases import diary, on_sqlite, run

SHARDS = ("shard_0", "shard_1", "shard_2", "shard_3")


@pytest.fixture
def shards(tmp_path):
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS):
        yield SHARDS


def tables(alias):
    names = connections[alias].introspection.table_names()
    return {name for name in names if name.startswith(("diary_", "django_"))}


def failing_on(*aliases):
    def fail(alias, apps):
        if alias in aliases:
            raise ValueError(f"no room on {alias}")

    return fail


def test_every_shard_gets_the_sharded_models_and_no_other(shards):
    done = run("migrate_shards")
    for alias in shards:
        assert f"{alias}  " in done
        assert tables(alias) == {"diary_entry", "diary_sticker", "django_migrations"}


def test_without_shards_there_is_nothing_to_do(unsharded):
    assert "nothing to do" in run("migrate_shards", check=True)


def test_a_shard_that_fails_stops_the_others_and_is_reported(shards):
    hooks.on_shards.append(failing_on("shard_2"))
    with pytest.raises(CommandError) as error:
        run("migrate_shards", jobs=1)
    assert "shard_2 failed: no room on shard_2" in str(error.value)
    assert "Migrated: shard_0, shard_1. Not begun: shard_3." in str(error.value)
    assert tables("shard_3") == set()


def test_the_next_run_does_what_is_left_and_nothing_else(shards):
    hooks.on_shards.append(failing_on("shard_2"))
    with pytest.raises(CommandError):
        run("migrate_shards", jobs=1)
    with pytest.raises(SystemExit):
        run("migrate_shards", check=True)
    hooks.clear()
    ran = []
    hooks.on_shards.append(lambda alias, apps: ran.append(alias))
    assert "Up to date: 2 of 4 shards." in run("migrate_shards")
    assert sorted(ran) == ["shard_2", "shard_3"]


def test_as_many_shards_as_jobs_are_migrated_at_once(shards):
    together = threading.Barrier(3)
    hooks.on_shards.append(
        lambda alias, apps: together.wait(timeout=60) if alias < "shard_3" else None
    )
    run("migrate_shards", jobs=3)


def test_shards_that_run_when_one_fails_come_to_their_end(shards):
    failed = threading.Event()

    def on(alias, apps):
        if alias == "shard_0":
            failed.set()
            raise ValueError("no")
        assert failed.wait(timeout=60)

    hooks.on_shards.append(on)
    with pytest.raises(CommandError, match=r"Migrated: shard_1\. Not begun: shard_2, shard_3"):
        run("migrate_shards", jobs=2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_shard_whose_connection_cannot_be_closed_is_not_waited_for(shards, monkeypatch):
    class Stuck:
        def close_all(self):
            raise OSError

    monkeypatch.setattr(running, "connections", Stuck())
    run("migrate_shards", jobs=2)
    assert "diary_entry" in tables("shard_3")


def test_observers_hear_how_each_shard_s_round_ended(shards):
    hooks.on_shards.append(failing_on("shard_1"))
    names = "db_shard_migrated", "db_shard_migration_failed"
    with captured_events(*names) as heard, pytest.raises(CommandError):
        run("migrate_shards", jobs=1)
    assert [(event.name, event.payload["alias"]) for event in heard] == [
        ("db_shard_migrated", "shard_0"),
        ("db_shard_migration_failed", "shard_1"),
    ]


def test_a_canary_goes_first_and_alone(shards):
    began = []

    def on(alias, apps):
        began.append(alias)
        if alias == "shard_3":
            raise ValueError("not on the canary either")

    hooks.on_shards.append(on)
    with pytest.raises(
        CommandError, match=r"Migrated: none\. Not begun: shard_0, shard_1, shard_2"
    ):
        run("migrate_shards", canary="shard_3")
    assert began == ["shard_3"]


def test_a_shard_that_is_down_is_noticed_before_anything_is_begun(tmp_path):
    entries = on_sqlite(tmp_path, "shard_0", "shard_1")
    entries["shard_1"]["NAME"] = str(tmp_path / "no" / "such" / "folder")
    with diary(entries, ("shard_0", "shard_1")):
        with pytest.raises(CommandError, match=r"shard_1 did not answer.*\nNothing was begun"):
            run("migrate_shards")
        assert tables("shard_0") == set()


def test_without_a_ledger_it_says_what_to_run_first(tmp_path):
    with diary(on_sqlite(tmp_path, "shard_0"), ("shard_0",), ledger=False):
        with pytest.raises(CommandError, match=r"Run manage\.py migrate first"):
            run("migrate_shards")
        assert "diary.0001_initial" in run("migrate_shards", plan=True)


def test_the_ledger_says_what_became_of_each_migration(shards):
    hooks.on_shards.append(failing_on("shard_1"))
    with pytest.raises(CommandError):
        run("migrate_shards", jobs=1)
    rows = ShardMigration.objects.filter(app="diary")
    states = {(row.alias, row.name): row.state for row in rows}
    assert states["shard_0", "0003_hook"] == State.DONE
    assert states["shard_1", "0002_words"] == State.DONE
    assert states["shard_1", "0003_hook"] == State.FAILED
    assert rows.get(alias="shard_1", name="0003_hook").error == "no room on shard_1"
    assert not rows.filter(alias="shard_2").exists()
    assert "(failed before: no room on shard_1)" in run("migrate_shards", plan=True)
    hooks.clear()
    run("migrate_shards")
    assert set(rows.values_list("state", flat=True)) == {State.DONE}


def test_when_the_ledger_cannot_be_written_no_further_shard_begins(shards):
    def lose(alias, apps):
        with connections["default"].cursor() as cursor:
            cursor.execute("DROP TABLE scalekit_db_shardmigration")

    hooks.on_shards.append(lose)
    with pytest.raises(CommandError) as error:
        run("migrate_shards", jobs=1)
    assert "Stopped: the ledger cannot be written" in str(error.value)
    assert "Migrated: shard_0. Not begun: shard_1, shard_2, shard_3." in str(error.value)


def test_a_driver_that_has_lost_its_connection_is_heard_of_too(shards, monkeypatch):
    def lost(step):
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(ledger, "note", lost)
    with pytest.raises(CommandError, match="Stopped: the ledger cannot be written"):
        run("migrate_shards", jobs=1)


def test_a_migration_that_was_killed_is_no_longer_running(shards):
    run("migrate_shards", "diary", "0002")
    ShardMigration.objects.filter(name="0002_words", alias="shard_0").update(state=State.RUNNING)
    run("migrate_shards", "diary", "0002")
    assert ShardMigration.objects.get(state=State.FAILED).alias == "shard_0"


def test_to_a_migration_and_back(shards):
    run("migrate_shards", "diary", "0001")
    assert "diary.0002_words" in run("migrate_shards", plan=True)
    run("migrate_shards", "diary")
    assert "shard_0: diary.0005_sketch, diary.0004_without_a_hint, diary.0003_hook" in run(
        "migrate_shards", "diary", "0001", plan=True
    )
    run("migrate_shards", "diary", "zero")
    assert tables("shard_0") == {"django_migrations"}
    assert set(ShardMigration.objects.values_list("state", flat=True)) == {State.UNDONE}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dairy"], "no app 'dairy' with migrations"),
        (["diary", "0009"], "No migration of diary begins with '0009'"),
        (["diary", "000"], "Several migrations of diary begin with '000'"),
        (["--group=user"], "no shard group 'user'; SCALEKIT_DB_SHARDING has users"),
        (["--canary=shard_9"], "--canary is 'shard_9', which is none of: shard_0"),
        (["--jobs=0"], "a whole number from 1 on"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_begun(shards, arguments, message):
    with pytest.raises(CommandError, match=message):
        run("migrate_shards", *arguments)
    assert tables("shard_0") == set()


def test_fake_only_notes_them_as_run(shards):
    run("migrate_shards", fake=True)
    assert tables("shard_0") == {"django_migrations"}
    assert "nothing to do" in run("migrate_shards", plan=True)


def test_the_first_good_run_stores_the_slot_map(shards):
    hooks.on_shards.append(failing_on("shard_3"))
    with pytest.raises(CommandError):
        run("migrate_shards")
    assert not ShardMap.objects.exists()
    hooks.clear()
    run("migrate_shards")
    assert ShardMap.objects.get(group="users").version == 1
