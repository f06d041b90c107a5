from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import copy_context

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.db import connection, connections, router, transaction
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from scalekit.core.context import unit_of_work
from scalekit.core.exceptions import SettingInvalid
from scalekit.db import facts, using_primary, using_replica
from scalekit.db.conf import settings as db_settings
from scalekit.db.events import READ_ROUTED
from scalekit.db.facts import dealings
from scalekit.db.rotation import rotation
from scalekit.db.writes import is_write, mark_written
from tests.db.databases import databases, replica_of, rolled_back, sharding, sqlite

REPLICAS = {"replica_1", "replica_2"}


def customer():
    from tests.db.shop.models import Customer

    return Customer


def read():
    return router.db_for_read(customer())


@contextmanager
def reasons():
    heard = []
    end = READ_ROUTED.subscribe(lambda _, payload: heard.append(payload["reason"]))
    yield heard
    end()


def test_nothing_configured_leaves_django_alone(unsharded):
    with unit_of_work():
        assert read() == router.db_for_write(customer()) == "default"
        customer().objects.create(name="Ann")
        assert dealings().written == set()
        ours = [w for w in connection.execute_wrappers if w.__module__.startswith("scalekit.db")]
        assert ours == []


def test_outside_a_request_reads_go_to_the_primary(replicas):
    with reasons() as heard:
        assert read() == "default"
    assert heard == ["outside requests"]


def test_a_request_reads_from_one_replica_and_requests_share_them(replicas):
    used = set()
    for _ in range(8):
        with unit_of_work():
            (alias,) = {read() for _ in range(5)}
            used.add(alias)
    assert used == REPLICAS


def test_a_request_has_one_replica_in_all_its_threads_and_tasks(replicas):
    from asgiref.sync import sync_to_async

    async def together():
        return await asyncio.gather(*(sync_to_async(read)() for _ in range(10)))

    with unit_of_work():
        assert len({*async_to_sync(together)(), read()}) == 1


def test_in_a_transaction_reads_go_to_the_primary(replicas):
    with unit_of_work():
        with transaction.atomic():
            assert read() == "default"
        assert read() in REPLICAS
        connection.set_autocommit(False)
        assert read() == "default"
        connection.set_autocommit(True)
        assert read() in REPLICAS


def test_a_transaction_on_another_primary_does_not_count(tmp_path):
    entries = {name: sqlite(tmp_path / name) for name in ("default", "other")}
    entries["replica_1"] = sqlite(tmp_path / "default", SCALEKIT=replica_of("default"))
    with databases(entries), unit_of_work(), transaction.atomic(using="other"):
        assert read() == "replica_1"


def test_select_for_update_and_get_or_create_go_to_the_primary_and_pin_nothing(replicas):
    customer().objects.create(name="Ann")
    with unit_of_work():
        customer().objects.get_or_create(name="Ann")
        assert customer().objects.select_for_update().db == "default"
        assert read() in REPLICAS
        assert dealings().written == set()


def test_after_a_write_the_same_request_reads_from_the_primary(replicas):
    with unit_of_work():
        assert read() in REPLICAS
        customer().objects.create(name="Ann")
        assert read() == "default"
        assert dealings().written == {"default"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shop_customer SET visits = 1",
        "-- a comment\nINSERT INTO shop_customer (name, visits) VALUES ('x', 0)",
        "/* one */ /* two */ DELETE FROM shop_customer",
    ],
)
def test_raw_sql_that_writes_pins_too(replicas, statement):
    with unit_of_work():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert dealings().written == set()
        with connection.cursor() as cursor:
            cursor.execute(statement)
        assert dealings().written == {"default"}


def test_a_rolled_back_write_pins_nothing(replicas):
    with unit_of_work():
        with rolled_back():
            customer().objects.create(name="Ann")
        assert dealings().written == set()
        assert read() in REPLICAS


def test_a_write_rolled_back_to_a_savepoint_pins_nothing(replicas):
    with unit_of_work():
        with transaction.atomic(), rolled_back():
            customer().objects.create(name="Ann")
        assert dealings().written == set()
        with transaction.atomic():
            with rolled_back():
                customer().objects.create(name="Ann")
            customer().objects.create(name="Ben")
        assert dealings().written == {"default"}


def test_a_failed_write_pins_nothing(replicas):
    from django.db import DatabaseError

    with unit_of_work():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("UPDATE nowhere SET x = 1")
        assert dealings().written == set()


def test_a_job_enqueued_in_the_transaction_reads_from_the_primary(replicas):
    from scalekit.core.context import arrived_with, portable_facts

    with unit_of_work(), transaction.atomic():
        customer().objects.create(name="Ann")
        carried = portable_facts()
    with arrived_with(carried):
        assert read() == "default"


def test_a_job_that_waited_longer_than_a_pin_lives_still_reads_from_the_primary(replicas):
    from scalekit.core.context import arrived_with

    with arrived_with({"db_pins": {"default": [1]}}):
        assert read() == "default"


def test_a_rollback_brings_back_the_demand_of_before(replicas):
    import time

    from scalekit.db.facts import PINS
    from scalekit.db.pins import Pin

    with unit_of_work():
        PINS.set({"default": Pin(time.time() + 9)})
        with rolled_back():
            customer().objects.create(name="Ann")
        assert read() == "default"


def test_a_using_replica_block_binds_nobody_outside_it(replicas):
    import time

    from scalekit.db.facts import PINS
    from scalekit.db.pins import Pin

    with unit_of_work():
        PINS.set({"default": Pin(time.time() + 9)})
        with using_replica():
            assert read() in REPLICAS
        assert read() == "default"
        with using_replica():
            assert read() in REPLICAS


@pytest.mark.parametrize(
    "pins",
    [
        "x",
        [],
        {"default": 1e12},
        {"default": [1e12]},
        {"default": ["soon"]},
        {"default": [True]},
        {"default": [float("nan")]},
        {"default": [1, 2, 3, 1 << 62]},
        {1: 1},
    ],
)
def test_a_message_with_absurd_pins_is_not_believed(replicas, pins):
    from scalekit.core.context import arrived_with

    with arrived_with({"db_pins": pins}):
        assert read() in REPLICAS


def test_mark_written_stands_for_what_no_statement_shows(replicas):
    with unit_of_work():
        mark_written("default")
        assert read() == "default"


def test_using_primary_and_using_replica_nest(replicas):
    with using_replica():
        assert read() in REPLICAS
        with using_primary():
            assert read() == "default"
        with using_replica("other"):
            assert read() == "default"
        assert read() in REPLICAS
    assert read() == "default"


def test_using_replica_keeps_to_one_outside_requests_too(replicas):
    for _ in range(4):
        with using_replica():
            assert len({read() for _ in range(5)}) == 1


def test_one_object_may_be_entered_again_and_by_many_threads(replicas):
    block, found = using_primary(), []

    def work():
        with unit_of_work():
            before = read()
            with block, block:
                found.append(read())
            found.append(read() == before)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {"default", True}
    assert read() == "default"


def test_tasks_of_one_gather_do_not_meet(replicas):
    from asgiref.sync import sync_to_async

    @using_primary()
    async def on_primary():
        await asyncio.sleep(0.01)
        return await sync_to_async(read)()

    @using_replica()
    async def on_replica():
        await asyncio.sleep(0.005)
        return await sync_to_async(read)()

    async def together():
        return await asyncio.gather(*(f() for f in [on_primary, on_replica] * 5))

    found = async_to_sync(together)()
    assert set(found[::2]) == {"default"}
    assert set(found[1::2]) <= REPLICAS


def test_a_queryset_that_is_returned_unread_is_bound_to_its_side(replicas):
    @using_replica()
    def rows():
        return customer().objects.filter(visits=0)

    @using_primary()
    async def later():
        return customer().objects.filter(visits=0)

    assert rows().db in REPLICAS
    with unit_of_work():
        assert async_to_sync(later)().db == "default"
        assert later.__name__ == "later"


def test_wrong_uses_say_what_to_write():
    with pytest.raises(TypeError, match="parentheses"):
        using_primary(lambda: None)
    with pytest.raises(TypeError, match="generator"):

        @using_primary()
        def rows():
            yield 1


def test_in_an_event_loop_s_thread_the_primary_is_answered(replicas):
    async def ask():
        return read()

    with unit_of_work():
        assert async_to_sync(ask)() == "default"
        assert read() in REPLICAS


def test_a_mirror_stands_for_its_replica_in_tests(tmp_path):
    file = tmp_path / "default"
    mirrored = sqlite(file, SCALEKIT=replica_of("default"), TEST={"MIRROR": "default"})
    with databases({"default": sqlite(file), "replica_1": mirrored}), unit_of_work():
        assert read() == "default"


def test_replicas_out_of_rotation_are_not_used(replicas):
    rotation.down("replica_1", OSError())
    for _ in range(4):
        with unit_of_work():
            assert read() == "replica_2"
    rotation.down("replica_2", OSError())
    with unit_of_work():
        assert read() == "default"


def test_an_object_read_from_a_replica_is_saved_on_the_primary(replicas):
    customer().objects.create(name="Ann")
    with using_replica():
        ann = customer().objects.get()
    assert ann._state.db in REPLICAS
    ann.name = "Anna"
    with CaptureQueriesContext(connections["default"]) as queries:
        ann.save()
    assert queries[0]["sql"].startswith("UPDATE")
    assert ann._state.db == "default"
    assert router.allow_relation(ann, customer().objects.using("replica_1").get())


def test_nothing_migrates_on_a_replica(replicas):
    assert router.allow_migrate("replica_1", "shop") is False
    assert router.allow_migrate_model("replica_1", customer()) is False
    assert router.allow_migrate_model("default", customer()) is True


@pytest.mark.parametrize(
    ("model", "default", "shard"),
    [
        ("order", False, True),
        ("customer", True, False),
        ("Order", False, True),
        ("gone", True, True),
    ],
)
def test_sql_and_python_in_a_migration_run_where_the_model_they_name_lives(
    shards, model, default, shard
):
    assert router.allow_migrate("default", "shop", model_name=model) is default
    assert router.allow_migrate("shard_0", "shop", model_name=model) is shard


def test_a_model_for_every_primary_has_its_table_on_shards_and_its_rows_stay_there(shards):
    record = apps.get_model("scalekit_queue", "TaskRecord")
    state = ProjectState.from_apps(apps)  # as in a migration, whose models have no attributes
    in_migration = state.apps.get_model("scalekit_queue", "TaskRecord")
    for model in (record, in_migration):
        assert router.allow_migrate_model("shard_0", model) is True
        assert router.allow_migrate_model("default", model) is True
    cron_slot = apps.get_model("scalekit_queue", "CronSlot")
    assert router.allow_migrate_model("shard_0", cron_slot) is False
    row = record()
    row._state.db = "shard_1"
    assert router.db_for_write(record, instance=row) == "shard_1"
    assert router.db_for_write(record) == "default"


def test_a_model_for_every_primary_has_no_table_on_a_replica(replicas):
    record = apps.get_model("scalekit_queue", "TaskRecord")
    assert router.allow_migrate_model("replica_1", record) is False


def test_default_as_a_shard_is_refused_before_anything_is_migrated(tmp_path):
    entries = {name: sqlite(tmp_path / name) for name in ("default", "shard_1")}
    with (
        databases(entries, SCALEKIT_DB_SHARDING=sharding("default", "shard_1")),
        pytest.raises(SettingInvalid, match="a database of its own"),
    ):
        router.allow_migrate("default", "auth")


@pytest.mark.parametrize("zone", ["a", "b"])
def test_replicas_of_this_zone_come_first(tmp_path, zone):
    file = tmp_path / "default"
    entries = {"default": sqlite(file)} | {
        f"replica_{z}": sqlite(file, SCALEKIT=replica_of("default", ZONE=z)) for z in "ab"
    }
    with databases(entries, SCALEKIT_DB_ZONE=zone):
        for _ in range(3):
            with unit_of_work():
                assert read() == f"replica_{zone}"


def test_a_request_keeps_to_its_replica_when_a_nearer_one_comes_back(tmp_path):
    file = tmp_path / "default"
    entries = {"default": sqlite(file)} | {
        f"replica_{z}": sqlite(file, SCALEKIT=replica_of("default", ZONE=z)) for z in "abc"
    }
    with databases(entries, SCALEKIT_DB_ZONE="a"):
        rotation.judge("replica_a", "lag")
        rotation.judge("replica_c", "lag")
        with unit_of_work():
            assert read() == "replica_b"
            rotation.judge("replica_a", "")
            assert read() == "replica_b"
        with unit_of_work():
            assert read() == "replica_a"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", False),
        ("  ( select 1 )", False),
        ("SELECT * FROM t FOR UPDATE", False),
        ("SELECT * INTO x FROM t", True),
        ("SELECT 1; DELETE FROM t", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM x", True),
        ("EXPLAIN SELECT 1", False),
        ("EXPLAIN ANALYZE DELETE FROM t", True),
        ("VALUES (1)", False),
        ("SHOW server_version", False),
        ("SAVEPOINT x", False),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", True),
        ("TRUNCATE t", True),
        ("CREATE TABLE t (x int)", True),
        ("CALL p()", True),
        ("COPY t FROM STDIN", True),
        ("", True),
        (b"SELECT 1", False),
        (sql.SQL("SELECT * FROM {}").format(sql.Identifier("t")), False),
        (sql.SQL("DELETE FROM {}").format(sql.Identifier("t")), True),
    ],
)
def test_which_statements_write(statement, expected):
    assert is_write(statement) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SET statement_timeout = '30s'; UPDATE shop SET a = 1", True),
        ("BEGIN; DELETE FROM shop", True),
        ("SHOW server_version;", False),
        ("/* /* */ SELECT */ UPDATE shop SET a = 1", True),
        ("/* one */ -- two\n /* three */ SELECT 1 /* four */", False),
        ("/* without an end SELECT 1", True),
    ],
)
def test_a_write_behind_other_words_is_seen(statement, expected):
    assert is_write(statement) is expected


def test_threads_that_come_first_together_share_one_record(monkeypatch):
    barrier = threading.Barrier(2)

    class Slow(facts.Dealings):
        def __init__(self):
            barrier.wait(5)  # both have seen that there is none
            super().__init__()

    monkeypatch.setattr(facts, "Dealings", Slow)
    found = []
    with unit_of_work():
        threads = [
            threading.Thread(target=copy_context().run, args=(lambda: found.append(dealings()),))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] is found[1] is dealings()


@pytest.mark.parametrize("name", ["BALANCER", "PINNING"])
def test_a_plug_without_a_default_is_no_setting(settings, name):
    setattr(settings, f"SCALEKIT_DB_{name}", {"other": {}})
    with pytest.raises(SettingInvalid, match='"default"'):
        getattr(db_settings, name)


def test_no_pin_lives_for_ever(settings):
    settings.SCALEKIT_DB_PIN_SECONDS = float("inf")
    with pytest.raises(SettingInvalid):
        db_settings.PIN_SECONDS  # noqa: B018 - reading it is the point


class ToOther:
    """A project's own router, which knows of another primary."""

    def db_for_write(self, model, **hints):
        return "other" if model is customer() else None


def test_replicas_of_a_primary_that_the_projects_own_router_names_are_read_from():
    entries = {alias: sqlite(":memory:") for alias in ("default", "other")}
    entries["other_1"] = sqlite(":memory:", SCALEKIT=replica_of("other"))
    routers = ["scalekit.db.router.Router", ToOther()]
    with databases(entries, DATABASE_ROUTERS=routers), unit_of_work():
        assert router.db_for_write(customer()) == "other"
        assert read() == "other_1"
