"""scatter() and shards that are down, frozen or large, on PostgreSQL."""

from __future__ import annotations

import time
import tracemalloc
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.db.models import Avg, Count, Max, StdDev, Sum
from django.db.models.functions import Lower
from django.db.transaction import TransactionManagementError
from django.test import override_settings

from scalekit.db.exceptions import ShardFailed
from scalekit.testing.fakes import captured_events
from tests.db.databases import create_tables, databases, sharding
from tests.integration.db.conftest import NAME, entry

pytestmark = pytest.mark.servers


@pytest.fixture
def orders(sharded):
    from tests.db.shop.models import Order

    Order.objects.bulk_create([Order(customer_id=key, items=key) for key in range(1, 41)])
    return Order.objects


@pytest.fixture
def fragile(scalekit_servers):
    """Two shards of servers that may be frozen and stopped."""
    from tests.db.shop.models import Order

    servers = {f"shard_{i}": scalekit_servers.postgres(f"shard_{i}") for i in range(2)}
    for server in servers.values():
        server.create_database(NAME)
    entries = {alias: entry(server) for alias, server in servers.items()}
    with databases(
        {"default": entries["shard_0"], **entries}, SCALEKIT_DB_SHARDING=sharding(*servers)
    ):
        create_tables(*servers)
        Order.objects.bulk_create([Order(customer_id=key, items=key) for key in range(1, 41)])
        yield Order.objects, servers
        connections.close_all()


def test_a_frozen_or_dead_shard_is_named_or_left_out(fragile):
    orders, servers = fragile
    there = orders.using("shard_0").count()
    servers["shard_1"].freeze()
    began = time.monotonic()
    with override_settings(SCALEKIT_DB_SCATTER_SECONDS=1):
        with pytest.raises(ShardFailed, match="shard_1 did not answer") as caught:
            orders.scatter().count()
        with pytest.raises(ShardFailed):
            list(orders.scatter().order_by("items").iterator())
        rows = orders.scatter(partial=True).order_by("items")
        assert len(rows) == there
        assert rows.failed == ("shard_1",)
        streamed = orders.scatter(partial=True).order_by("items")
        assert len(list(streamed.iterator())) == there
        assert streamed.failed == ("shard_1",)
    assert caught.value.alias == "shard_1"
    assert time.monotonic() - began < 20
    servers["shard_1"].thaw()
    servers["shard_1"].kill()
    with pytest.raises(ShardFailed, match="shard_1 did not answer") as caught:
        orders.scatter().first()
    assert caught.value.__cause__ is not None
    with captured_events("db_shard_failed") as events:
        partial = orders.scatter(partial=True)
        assert (partial.count(), partial.failed) == (there, ("shard_1",))
        assert partial.aggregate(Count("pk")) == {"pk__count": there}
    assert events[0].payload["alias"] == "shard_1"
    servers["shard_0"].kill()
    with pytest.raises(ShardFailed):
        orders.scatter(partial=True).count()
    with pytest.raises(ShardFailed):
        list(orders.scatter(partial=True).iterator())


def test_threads_hand_their_connections_back(orders, sharded):
    for _ in range(5):
        assert len(orders.scatter()) == 40
        assert len(list(orders.scatter().iterator(chunk_size=3))) == 40
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    assert [server.value(count, [NAME]) for server in sharded.values()] == [1, 1]  # this thread's


def test_a_stream_holds_a_few_chunks_and_not_the_rows(orders, sharded):
    wide = "x" * 45
    for alias in sharded:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "INSERT INTO shop_order (id, customer_id, note, paid) "
                "SELECT n, n, %s || n, true FROM generate_series(1000, 51000) AS n",
                [wide],
            )
    tracemalloc.start()
    try:
        rows = orders.scatter().order_by("note").values_list("note", "id").iterator(chunk_size=500)
        before, count = "", 0
        for note, _ in rows:
            assert note >= before
            before, count = note, count + 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 100_042
    assert peak < 10_000_000  # all rows at once are some 30 MB


def test_the_greatest_text_of_a_joined_or_computed_column(orders):
    from tests.db.shop.models import Line

    for order in orders.scatter():
        orders.filter(pk=order.pk).update(note=f"N{order.items:02}")
        order.lines.create(customer_id=order.customer_id)
    assert Line.objects.scatter().aggregate(n=Max("order__note")) == {"n": "N40"}
    lowered = orders.scatter().annotate(lowered=Lower("note"))
    assert lowered.aggregate(n=Max("lowered")) == {"n": "n40"}


def test_distinct_on_is_counted_with_an_order_and_without(orders):
    orders.scatter().filter(items__gt=30).update(items=30)
    assert orders.scatter().distinct("items").count() == 30
    rows = orders.scatter().order_by("items", "-customer_id").distinct("items")
    assert (rows.count(), rows[3:].count(), list(rows)[-1].customer_id) == (30, 27, 40)


def test_rows_are_locked_on_every_shard_or_on_none(orders):
    with transaction.atomic("shard_0"), pytest.raises(TransactionManagementError):
        list(orders.scatter().select_for_update())
    with transaction.atomic("shard_0"), transaction.atomic("shard_1"):
        assert len(orders.scatter().select_for_update()) == 40


def test_decimals_and_averages_have_the_digits_of_the_database(orders, sharded):
    for key in range(1, 41):
        orders.filter(customer_id=key).update(price=Decimal(key) / 100)
    asked = orders.scatter().aggregate(Avg("price"), Sum("price"), Avg("items"), StdDev("price"))
    values = ", ".join(f"({key}, {key}::numeric(8, 2) / 100)" for key in range(1, 41))
    server = sharded["shard_0"]
    for name, sql in [
        ("price__avg", "avg(p::numeric(8, 2))"),
        ("price__sum", "sum(p::numeric(8, 2))"),
        ("price__stddev", "stddev_pop(p::numeric(8, 2))"),
    ]:
        assert str(asked[name]) == server.value(
            f"SELECT {sql}::text FROM (VALUES {values}) AS v (i, p)"
        )
