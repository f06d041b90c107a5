"""Slots that move while processes go by an older map, on PostgreSQL."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from django.db import DatabaseError, connections, models, transaction
from django.test import override_settings

from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardMapConflict, ShardMapStale
from scalekit.db.models import ShardMap, ShardMapKey
from scalekit.db.sharding.mapping import staleness
from scalekit.db.sharding.mapping.assigning import assign_slots, init_map
from tests.db.databases import create_tables

pytestmark = pytest.mark.servers

FENCE = """
CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the slot has moved' USING ERRCODE = 'SK001'; END $$;
CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON shop_order
FOR EACH ROW EXECUTE FUNCTION moved();
"""
LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'"


@pytest.fixture
def mapped(sharded):
    """Two shards whose map is stored, version 1."""
    if "scalekit_db_shardmap" not in connections["default"].introspection.table_names():
        create_tables("default", app="scalekit_db")
    init_map("users")


@pytest.fixture
def moved(mapped):
    """Customer 7's slot has left the shard that this process knows, which is fenced; gives both shards."""
    scheme = schemes["users"]
    old = scheme.shard_for(7)
    new = next(alias for alias in scheme.shards if alias != old)
    with connections[old].cursor() as cursor:
        cursor.execute(FENCE)
    ShardMap.objects.filter(group="users").update(version=2, assignments=[[new, 4096]])
    return old, new


def in_thread(function):
    """Call `function` in a thread with connections of its own; return the thread and the list of what it gave."""
    given = []

    def run():
        try:
            given.append(function())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            given.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, given


def wait_for_a_lock(server):
    end = time.monotonic() + 20
    while not server.value(LOCKED):
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.02)


def test_a_write_to_a_shard_that_its_slot_has_left_is_done_on_the_right_one(moved):
    from tests.db.shop.models import Order

    old, new = moved
    order = Order.objects.create(customer_id=7)
    assert order._state.db == new
    assert Order.objects.using(new).filter(pk=order.pk).exists()
    assert not Order.objects.using(old).exists()


def test_every_kind_of_write_goes_over(moved):
    from tests.db.shop.models import Order

    old, new = moved
    with connections[old].cursor() as cursor:
        cursor.execute("ALTER TABLE shop_order DISABLE TRIGGER fence")
    known, older = schemes["users"].stored, schemes["users"].map
    orders = Order.objects.bulk_create([Order(customer_id=7, note=str(n)) for n in range(3)])
    models.QuerySet.bulk_create(Order.objects.using(new), orders)
    with connections[old].cursor() as cursor:
        cursor.execute("ALTER TABLE shop_order ENABLE TRIGGER fence")
    for write in (
        lambda: Order.objects.filter(customer_id=7, note="0").update(items=5),
        lambda: Order.objects.filter(customer_id=7, note="1").delete(),
        lambda: Order.objects.update_or_create({"items": 9}, customer_id=7, note="2"),
        lambda: Order.objects.get_or_create(customer_id=7, note="3"),
        lambda: Order.objects.bulk_create([Order(customer_id=7, note="4")]),
        lambda: Order.objects.bulk_update(
            [Order(pk=orders[2].pk, customer_id=7, items=6)], ["items"]
        ),
    ):
        known._known = older  # as in a process that has not heard of it yet
        write()
    rows = Order.objects.using(new).order_by("note").values_list("note", "items")
    assert list(rows) == [("0", 5), ("2", 6), ("3", None), ("4", None)]


def test_inside_a_transaction_nothing_is_done_twice(moved):
    from tests.db.shop.models import Order

    old, new = moved
    with pytest.raises(ShardMapStale, match="run its block again"), transaction.atomic(using=old):
        Order.objects.create(customer_id=7)
    assert schemes["users"].shard_for(7) == new
    with transaction.atomic(using=new):
        Order.objects.create(customer_id=7)
    assert Order.objects.using(new).count() == 1


def test_bulk_writes_inside_a_transaction_are_not_done_twice(moved):
    from tests.db.shop.models import Order

    old, _ = moved
    with pytest.raises(ShardMapStale), transaction.atomic(using=old):
        Order.objects.bulk_create([Order(customer_id=7)])


def test_a_fence_without_a_new_map_is_told_of(moved, monkeypatch):
    from tests.db.shop.models import Order

    monkeypatch.setattr(staleness, "PATIENCE", 0.1)
    old, _ = moved
    ShardMap.objects.filter(group="users").update(version=1, assignments=[[old, 4096]])
    with pytest.raises(ShardMapStale, match="has not said where it went"):
        Order.objects.create(customer_id=7)


def test_a_map_that_changes_while_the_fence_is_up_is_waited_for(moved, monkeypatch):
    from tests.db.shop.models import Order

    reload, looked = staleness._reload, threading.Event()
    monkeypatch.setattr(staleness, "PATIENCE", 20)
    monkeypatch.setattr(staleness, "_reload", lambda: (reload(), looked.set()))
    _, new = moved
    ShardMap.objects.filter(group="users").update(version=1)
    thread, given = in_thread(lambda: Order.objects.create(customer_id=7))
    assert looked.wait(20)
    ShardMap.objects.filter(group="users").update(version=2)
    thread.join()
    assert [order._state.db for order in given] == [new]


def test_of_two_who_assign_at_once_one_loses(mapped, postgres_primary):
    scheme = schemes["users"]
    with transaction.atomic():
        assign_slots("users", {0: scheme.shards[1]}, 1)
        thread, given = in_thread(lambda: assign_slots("users", {1: scheme.shards[1]}, 1))
        wait_for_a_lock(postgres_primary)
    thread.join()
    assert [type(error) for error in given] == [ShardMapConflict]
    assert ShardMap.objects.get(group="users").version == 2
    scheme.stored.reload()
    assert [scheme.shard_for_slot(slot) for slot in (0, 1)] == [scheme.shards[1], scheme.shards[0]]


def test_the_map_is_read_beside_a_transaction_that_is_broken(mapped, settings):
    with override_settings(
        SCALEKIT_DB_SHARDING=dict(settings.SCALEKIT_DB_SHARDING)
    ):  # as in a new process
        assert schemes["users"].stored.version is None
        with suppress(DatabaseError), transaction.atomic():
            connections["default"].cursor().execute("no SQL")
        with transaction.atomic():
            with suppress(DatabaseError):
                connections["default"].cursor().execute("no SQL")
            assert schemes["users"].map.version == 1
            transaction.set_rollback(True)


def test_of_two_processes_that_place_a_new_key_the_first_decides(mapped, postgres_primary):
    shards = list(schemes["users"].shards)
    directory = {
        "BACKEND": "scalekit.db.sharding.directory.Directory",
        "OPTIONS": {"shards": shards, "new_keys": "least_filled"},
    }
    ShardMap.objects.all().delete()
    with override_settings(SCALEKIT_DB_SHARDING={"users": directory}):
        scheme = schemes["users"]
        with transaction.atomic():
            ShardMapKey.objects.create(group="users", key="7", shard=shards[1])
            thread, given = in_thread(lambda: scheme.shard_for(7))
            wait_for_a_lock(postgres_primary)
        thread.join()
    assert given == [shards[1]]
