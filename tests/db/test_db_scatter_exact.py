"""Answers of scatter() that are easily not those of one database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.db.models import Count, F, Q, Sum
from django.db.models.signals import post_init


@pytest.fixture
def orders(shards):
    """Thirty orders of as many customers; every third has two lines, the others none."""
    from tests.db.shop.models import Line, Order

    made = Order.objects.bulk_create(
        [Order(customer_id=key, items=key % 3, note=f"n{key:02}") for key in range(1, 31)]
    )
    Line.objects.bulk_create(
        [
            Line(customer_id=order.customer_id, order=order, amount=amount)
            for order in made
            for amount in (1, 2)
            if order.items == 0
        ]
    )
    return Order.objects


def test_rows_that_hang_on_nothing_are_one_group_though_they_lie_on_every_shard(orders):
    groups = orders.scatter().values("lines__customer_id").annotate(n=Count("pk"))
    alone = [group["n"] for group in groups if group["lines__customer_id"] is None]
    assert (alone, groups.count()) == ([20], 11)


def test_a_slice_of_distinct_values_counts_what_its_order_tells_apart(orders):
    rows = orders.scatter().values_list("items").distinct()
    assert (rows.count(), rows.order_by("note").count()) == (3, 3)
    part = rows.order_by("note")[2:20]
    assert part.count() == len(part) == 18


def test_an_order_that_joins_gives_a_row_as_often_as_it_joins(orders):
    rows = orders.scatter().order_by("id", "lines__amount")
    assert len(rows) == 40
    assert [row.customer_id for row in rows.filter(customer_id=3)] == [3, 3]


def test_count_of_a_star(orders):
    assert orders.scatter().aggregate(n=Count("*")) == {"n": 30}


def test_a_condition_is_a_column_like_others(orders):
    rows = orders.scatter().annotate(few=Q(items__lt=2)).order_by("few", "-customer_id")
    assert [row.customer_id for row in rows[:2]] == [29, 26]


def test_a_default_is_of_the_type_of_its_aggregate(orders):
    nothing = orders.scatter().filter(note="nowhere")
    asked = nothing.aggregate(price=Sum("price", default=0), weight=Sum("weight", default=1))
    assert repr(asked) == repr({"price": Decimal(0), "weight": 1.0})
    groups = orders.scatter().values("items").annotate(total=Sum("price", default=0))
    assert {repr(group["total"]) for group in groups} == {"Decimal('0')"}


@pytest.mark.parametrize("order", [["n"], ["-n"], []])
def test_groups_that_are_equal_in_an_order_are_ordered_by_what_makes_them(orders, order):
    groups = orders.scatter().values_list("note", "paid").annotate(n=Count("pk")).order_by(*order)
    pages = [group for start in range(0, 30, 7) for group in groups[start : start + 7]]
    assert [note for note, *_ in pages] == [f"n{key:02}" for key in range(1, 31)]


def test_an_expression_stands_twice_in_an_order(orders):
    twice = F("items") + F("customer_id")
    rows = orders.scatter().order_by(twice, twice.desc(), "pk", "pk")
    assert [row.customer_id for row in rows[:3]] == [1, 3, 2]


def test_instances_are_made_of_the_rows_that_the_merge_leaves_alone(orders):
    made = []

    def note(**kwargs):
        made.append(kwargs["instance"])

    post_init.connect(note, sender=orders.model)
    try:
        found = list(orders.scatter().order_by("-customer_id")[2:5])
    finally:
        post_init.disconnect(note, sender=orders.model)
    assert made == found
    assert [row.customer_id for row in found] == [28, 27, 26]
    assert len({row._state.db for row in orders.scatter()}) > 1


def test_a_shard_may_keep_its_times_in_another_zone(orders, shards):
    """SQLite has no zones, so SQL is not the same for shards whose TIME_ZONE is not."""
    connections[shards[1]].close()
    connections.settings[shards[1]]["TIME_ZONE"] = "Asia/Tokyo"
    del connections[shards[1]]
    begin = datetime(2025, 3, 1, tzinfo=UTC)
    for row in orders.scatter():
        row.placed = begin + timedelta(hours=row.customer_id)
        row.save()
    rows = orders.scatter().filter(placed__gt=begin + timedelta(hours=3)).order_by("-placed")
    assert [row.customer_id for row in rows] == list(range(30, 3, -1))
    assert {row.placed - begin - timedelta(hours=row.customer_id) for row in rows} == {timedelta()}
