from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from django.core.management import CommandError
from django.db import connections
from django.test import override_settings

from scalekit.db.exceptions import ShardsBeingMigrated
from scalekit.db.sharding.migrating.ledger import CUT_SHORT
from scalekit.db.sharding.migrating.lock import KEY, only_one
from scalekit.db.sharding.migrating.models import ShardMigration, State
from tests.db.databases import create_tables, databases, sharding
from tests.db.diary_databases import diary, run
from tests.integration.db.conftest import ENGINE
from tests.integration.db.migrating_process import WAIT
from tests.integration.db.watching import until
from tests.settings import INSTALLED_APPS

pytestmark = pytest.mark.servers

SHARDS = ("shard_0", "shard_1", "shard_2")
HOLDER = "FROM pg_stat_activity WHERE pid = (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"


# Many times faster than to drop a database, for which the server makes a checkpoint, and to create it anew.
EMPTY = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA public CASCADE;
DROP SCHEMA IF EXISTS scalekit_models;
CREATE SCHEMA public
"""


@pytest.fixture
def entries(postgres_primary, postgres_shards):
    """A default database and three shards, two of them on one server, all empty."""
    servers = [postgres_primary, *postgres_shards, postgres_shards[1]]
    entries = {}
    for alias, server in zip(("default", *SHARDS), servers, strict=True):
        name = f"diary_{alias}"
        server.create_database(name)
        server.execute(EMPTY, database=name)
        entries[alias] = server.django_settings(ENGINE=ENGINE, NAME=name)
    with diary(entries, SHARDS):
        yield entries
        connections.close_all()


def test_the_example_and_every_app_of_scalekit_leave_no_drift(postgres_shards):
    """Their migrations make what their models would, on every shard."""
    entries = {}
    for alias, server in zip(("default", "shard_0"), postgres_shards, strict=True):
        server.execute(f"DROP DATABASE IF EXISTS example_{alias} WITH (FORCE)")
        server.create_database(f"example_{alias}")
        entries[alias] = server.django_settings(ENGINE=ENGINE, NAME=f"example_{alias}")
    apps = override_settings(
        INSTALLED_APPS=INSTALLED_APPS
    )  # without the shop, which has no migrations
    with apps, databases(entries, SCALEKIT_DB_SHARDING=sharding("shard_0")):
        create_tables("default", app="scalekit_db")
        assert "photos.0001_initial" in run("migrate_shards", plan=True)
        run("migrate_shards")
        run("migrate_shards", check=True, stdout=None)
        names = connections["shard_0"].introspection.table_names()
        assert {"photos_photo", "scalekit_queue_taskrecord"} <= set(names)
        assert "auth_user" not in names
        connections.close_all()


@pytest.fixture
def migrated(entries):
    run("migrate_shards")


def execute(alias, sql):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def found(capsys):
    with pytest.raises(SystemExit):
        run("migrate_shards", check=True, stdout=None)
    return [line for line in capsys.readouterr().out.splitlines() if "nothing to do" not in line]


def test_what_the_migrations_made_is_no_drift_and_the_comparison_leaves_nothing_behind(migrated):
    assert "missing" not in run("migrate_shards", check=True)
    with connections["shard_0"].cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'scalekit%'")
        assert cursor.fetchall() == []


CHANGES = {
    "ALTER TABLE diary_entry ALTER COLUMN words TYPE bigint": (
        "diary_entry, column words: integer NOT NULL on shard_0, shard_2; bigint NOT NULL on shard_1; "
        "in the models integer NOT NULL"
    ),
    "ALTER TABLE diary_entry ALTER COLUMN words SET DEFAULT 7": (
        "diary_entry, default of column words: missing on shard_0, shard_2; 7 on shard_1"
    ),
    "ALTER TABLE diary_sticker DROP CONSTRAINT diary_sticker_pkey": (
        "diary_sticker, constraint PRIMARY KEY (id): there on shard_0, shard_2; missing on shard_1"
    ),
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'entry_of_writer'::regclass": (
        "diary_entry, index CREATE INDEX ON diary_entry USING btree (writer_id, id DESC): "
        "there on shard_0, shard_2; missing on shard_1"
    ),
}


def test_changes_by_hand_are_named_with_their_shard(migrated, capsys):
    for sql in CHANGES:
        execute("shard_1", sql)
    lines = found(capsys)
    assert set(CHANGES.values()) <= set(lines)
    assert len(lines) == len(CHANGES) + 1  # the invalid index is one that only shard_1 has


def test_what_every_shard_has_beyond_the_models_is_no_drift_but_a_column_is(migrated, capsys):
    for alias in SHARDS:
        execute(alias, "CREATE INDEX by_words ON diary_entry (words)")
    run("migrate_shards", check=True)
    for alias in SHARDS:
        execute(alias, "ALTER TABLE diary_entry ADD COLUMN mood text")
    line = "diary_entry, column mood: text on shard_0, shard_1, shard_2; not in the models"
    assert found(capsys) == [line]


def test_who_may_not_create_a_schema_still_has_the_shards_compared(migrated, capsys):
    execute("shard_0", "CREATE SCHEMA scalekit_models")
    run("migrate_shards", check=True, stderr=sys.stderr)
    assert "with each other alone" in capsys.readouterr().err


def test_shard_stats_knows_rows_and_bytes_without_counting(migrated):
    sql = "INSERT INTO diary_entry (id, writer_id, text, words) SELECT i, i, 'x', 1 FROM generate_series(1, 2000) i"
    execute("shard_1", sql)
    for alias in SHARDS:
        execute(alias, "ANALYZE diary_entry")
    found = json.loads(run("shard_stats", json=True))["users"]
    tables = [found["shards"][alias]["tables"]["diary_entry"] for alias in SHARDS]
    assert [table["rows"] for table in tables] == [0, 2000, 0]
    assert tables[1]["bytes"] > tables[0]["bytes"] > 0
    assert found["skew"]["rows"] == 3
    assert json.loads(run("shard_stats", json=True, exact=True)) == {"users": found}


def shards_that_lack(migration):
    lines = run("migrate_shards", plan=True).splitlines()
    return [line.partition(":")[0] for line in lines if migration in line]


@contextmanager
def process(entries, *arguments):
    command = [sys.executable, "-m", "tests.integration.db.migrating_process"]
    running = subprocess.Popen(
        [*command, json.dumps(entries), ",".join(SHARDS), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def held(entries, key, *aliases):
    """Hold an advisory lock on databases."""
    with ExitStack() as stack:
        for alias in aliases:
            options = {
                name.lower(): entries[alias][name] for name in ("HOST", "PORT", "USER", "PASSWORD")
            }
            holder = psycopg.connect(dbname=entries[alias]["NAME"], autocommit=True, **options)
            stack.enter_context(holder).execute("SELECT pg_advisory_lock(%s)", [key])
        yield


def waits_on(alias):
    sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

    def waits():
        with connections[alias].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] == 1

    return waits


def test_a_second_deploy_waits_for_the_first(entries):
    with process(entries) as second:
        with held(entries, KEY, "default"):
            assert second.stdout.readline().startswith("Another process is migrating the shards")
            assert not connections["shard_0"].introspection.table_names()
        assert second.wait(timeout=60) == 0
    assert connections["shard_0"].introspection.table_names()


def test_a_deploy_that_does_not_want_to_wait_fails(entries):
    with held(entries, KEY, "default"), pytest.raises(CommandError, match="Another process"):
        run("migrate_shards", no_wait=True)


@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_the_lock_is_held_for_as_long_as_the_deploy_lasts(entries, limit):
    execute("default", f"ALTER DATABASE diary_default SET {limit} = '50ms'")
    with only_one(patient=False, waiting=pytest.fail) as loss:
        execute("default", f"ALTER DATABASE diary_default RESET {limit}")
        execute("shard_0", "SELECT pg_sleep(0.2)")  # on another connection
        assert loss() == ""


def test_the_lock_holds_back_no_vacuum_and_its_loss_is_noticed(entries):
    with only_one(patient=False, waiting=pytest.fail) as loss:
        assert loss() == ""
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SELECT backend_xmin, backend_xid {HOLDER}")
            assert cursor.fetchone() == (None, None)
            with pytest.raises(ShardsBeingMigrated), only_one(patient=False, waiting=pytest.fail):
                pass
            cursor.execute(f"SELECT pg_terminate_backend(pid) {HOLDER}")
        assert "is gone" in loss()


def test_a_deploy_that_is_killed_leaves_nothing_half_done_and_is_taken_up_again(entries):
    with held(entries, WAIT, "shard_1"), process(entries, "--jobs=1") as killed:
        until(waits_on("shard_1"), seconds=60)
        killed.send_signal(signal.SIGKILL)
    until(lambda: not waits_on("shard_1")(), seconds=60)
    assert ShardMigration.objects.get(state=State.RUNNING).name == "0003_hook"
    assert "shard_1: diary.0003_hook, diary.0004_without_a_hint, diary.0005_sketch" in run(
        "migrate_shards", plan=True
    )
    run("migrate_shards", "contenttypes")
    assert ShardMigration.objects.get(state=State.FAILED).error == CUT_SHORT
    assert "Up to date: 1 of 3 shards." in run("migrate_shards")
    assert set(ShardMigration.objects.values_list("state", flat=True)) == {State.DONE}


def test_when_the_lock_is_lost_no_further_shard_begins(entries):
    with process(entries, "--jobs=1") as robbed:
        with held(entries, WAIT, "shard_0"):
            until(waits_on("shard_0"), seconds=60)
            execute("default", f"SELECT pg_terminate_backend(pid) {HOLDER}")
        _, said = robbed.communicate(timeout=60)
    assert robbed.returncode == 1
    assert "Stopped: the connection that holds the lock on default is gone" in said
    assert "Migrated: shard_0. Not begun: shard_1, shard_2." in said


def test_ctrl_c_lets_what_runs_come_to_its_end_and_begins_nothing_else(entries):
    with process(entries, "--jobs=2") as stopped:
        with held(entries, WAIT, "shard_0", "shard_1"):
            for alias in ("shard_0", "shard_1"):
                until(waits_on(alias), seconds=60)
            stopped.send_signal(signal.SIGINT)
            assert stopped.stdout.readline().startswith("Waiting for shard_0, shard_1 to end")
        _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 1
    assert "Stopped: interrupted." in said
    assert ShardMigration.objects.filter(alias="shard_2").count() == 0
    assert shards_that_lack("diary.0003_hook") == ["shard_2"]


def test_a_second_ctrl_c_leaves_at_once_and_the_databases_roll_back(entries):
    with held(entries, WAIT, "shard_0", "shard_1"), process(entries, "--jobs=2") as stopped:
        for alias in ("shard_0", "shard_1"):
            until(waits_on(alias), seconds=60)
        stopped.send_signal(signal.SIGINT)
        assert stopped.stdout.readline().startswith("Waiting for")
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(timeout=60) != 0
    assert set(shards_that_lack("diary.0003_hook")) == set(SHARDS)
