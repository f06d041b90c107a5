from __future__ import annotations

import pytest
from django.core.paginator import Paginator
from django.db import connections
from django.db.models.functions import Random
from django.test.utils import CaptureQueriesContext

from scalekit.db.conf import schemes
from scalekit.db.exceptions import ScatterUnsupported
from tests.db import scatter_oracle
from tests.db.databases import create_tables, databases, sharding, sqlite
from tests.db.scatter_oracle import Question
from tests.db.scatter_questions import FurtherQuestion


@pytest.fixture
def orders(shards):
    from tests.db.shop.models import Order

    Order.objects.bulk_create([Order(customer_id=key, items=key % 3) for key in range(1, 31)])
    return Order.objects


def test_scatter_equals_one_database(tmp_path):
    names = ("shard_0", "shard_1", "shard_2")
    entries = {n: sqlite(tmp_path / n) for n in ("default", scatter_oracle.ORACLE, *names)}
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*names)):
        create_tables(*names)
        scatter_oracle.fill(150, seed=1)
        for kind in (Question, FurtherQuestion):
            wrong, refused = scatter_oracle.disagreements(75, 2, kind)
            assert not wrong, "\n".join(wrong)
            assert len(refused) < 25  # SQLite's deviations among them


def test_a_slice_reads_no_more_than_it_needs_from_each_shard(orders):
    with CaptureQueriesContext(connections["shard_0"]) as queries:
        assert len(orders.scatter().order_by("-items")[2:5]) == 3
    assert "LIMIT 5" in queries[0]["sql"]


def test_only_the_shards_that_are_named_are_asked(orders):
    scheme = schemes["users"]
    assert orders.scatter().filter(customer_id__in=[1]).shards() == [scheme.shard_for(1)]
    assert len(orders.scatter().filter(customer_id__in=[1, 1]).values_list("pk")) == 1
    assert orders.filter(customer_id=5).scatter().get().customer_id == 5
    assert orders.scatter().none().shards() == []
    assert list(orders.scatter().none()) == []


@pytest.mark.parametrize("name", ["?", Random(), "extra"])
def test_an_order_that_cannot_be_exact_is_refused_where_it_stands(orders, name):
    rows = orders.extra(select={"extra": "1"})
    with pytest.raises(ScatterUnsupported, match="cannot order Order by"):
        rows.scatter().order_by(name)


def test_what_it_cannot_do_is_refused_with_the_remedy(orders):
    with pytest.raises(ScatterUnsupported, match="on_every_shard"):
        orders.scatter().raw("SELECT 1")
    with pytest.raises(AttributeError):
        orders.scatter().nonsense()
    with pytest.raises(ScatterUnsupported, match="Q objects"):
        orders.scatter().union(orders.scatter())
    with pytest.raises(ScatterUnsupported, match="Q objects"):
        orders.filter(customer_id=1).union(orders.filter(customer_id=1)).scatter()


def test_slices_of_slices(orders):
    rows = [order.customer_id for order in orders.scatter().order_by("customer_id")]
    assert rows == list(range(1, 31))
    part = orders.scatter().order_by("customer_id")[5:20]
    assert [order.customer_id for order in part[3:]] == rows[8:20]
    assert [order.customer_id for order in part[2:100]] == rows[7:20]
    assert part[4].customer_id == rows[9]
    assert part.count() == len(part) == 15
    with pytest.raises(IndexError):
        part[15]
    with pytest.raises(TypeError, match="slice"):
        part.filter(items=1)


def test_get_first_and_last(orders):
    assert orders.scatter().get(customer_id=3).customer_id == 3
    with pytest.raises(orders.model.DoesNotExist):
        orders.scatter().get(note="nowhere")
    with pytest.raises(orders.model.MultipleObjectsReturned):
        orders.scatter().get(items=1)
    ordered = orders.scatter().order_by("customer_id")
    assert (ordered.first().customer_id, ordered.last().customer_id) == (1, 30)
    assert ordered.reverse().first().customer_id == 30
    assert ordered.reverse().reverse().first().customer_id == 1
    assert orders.order_by("customer_id").reverse().scatter().first().customer_id == 30
    assert orders.scatter().filter(note="nowhere").first() is None


def test_values_list(orders):
    ordered = orders.scatter().order_by("-customer_id")
    assert list(ordered.values_list("customer_id", flat=True)[:3]) == [30, 29, 28]
    assert list(ordered.values_list("items", "customer_id")[:2]) == [(0, 30), (2, 29)]


def test_paginator_and_prefetch(orders):
    for order in orders.scatter():
        order.lines.create(customer_id=order.customer_id)
    page = Paginator(orders.scatter().prefetch_related("lines").order_by("customer_id"), 7).page(5)
    assert [order.customer_id for order in page] == [29, 30]
    assert all(len(order.lines.all()) == 1 for order in page)
    assert len(list(orders.scatter().only("items").order_by("customer_id").iterator())) == 30


async def _async_answers(orders):
    rows = [order.customer_id async for order in orders.scatter().order_by("customer_id")]
    count = await orders.scatter().acount()  # codespell:ignore acount
    return rows, count, await orders.scatter().aexists()


def test_async(orders):
    from asgiref.sync import async_to_sync

    rows, count, exists = async_to_sync(_async_answers)(orders)
    assert (rows, count, exists) == (list(range(1, 31)), 30, True)
