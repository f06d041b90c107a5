"""Rows that lie where their key says and not their slot: the ORM finds them all the same."""

from __future__ import annotations

import pytest
from django.test import override_settings

from scalekit.db import on_every_shard, using_shard
from scalekit.db.conf import schemes
from scalekit.db.exceptions import KeyUnassigned
from scalekit.db.sharding.mapping.assigning import assign_key, init_map
from tests.db.databases import create_tables


def sharding(kind, shards, **options):
    backend = f"scalekit.db.sharding.{kind.lower()}.{kind}"
    return {"users": {"BACKEND": backend, "OPTIONS": {"shards": list(shards), **options}}}


@pytest.fixture
def ranges(shards):
    """Customers below 100 on the first shard, below 200 on the second, all others on the third."""
    create_tables("default", app="scalekit_db")
    with override_settings(SCALEKIT_DB_SHARDING=sharding("Ranges", shards, boundaries=[100, 200])):
        yield shards


@pytest.fixture
def celebrity(shards):
    """Customer 7 has a shard of their own; gives it."""
    create_tables("default", app="scalekit_db")
    init_map("users")
    own = next(alias for alias in shards if alias != schemes["users"].shard_for(7))
    assign_key("users", 7, own)
    return own


def orders_of(customers):
    from tests.db.shop.models import Order

    return {customer: Order.objects.create(customer_id=customer) for customer in customers}


def test_rows_lie_in_the_range_of_their_key(ranges):
    orders = orders_of([5, 150, 999])
    assert tuple(order._state.db for order in orders.values()) == ranges


def test_rows_are_found_by_key_and_by_an_id_that_names_no_shard(ranges):
    from tests.db.shop.models import Order

    for customer, order in orders_of([5, 150, 999]).items():
        assert Order.objects.get(customer_id=customer) == order
        assert Order.objects.get(pk=order.pk)._state.db == order._state.db


def test_related_rows_and_changes_stay_in_the_range(ranges):
    from tests.db.shop.models import Line, Order

    order = orders_of([150])[150]
    Line.objects.create(customer_id=150, order=order, amount=3)
    assert [line.amount for line in order.lines.all()] == [3]
    Order.objects.filter(pk=order.pk).update(items=4)
    order.refresh_from_db()
    assert order.items == 4
    order.delete()
    assert not Line.objects.filter(customer_id=150).exists()


def test_blocks_go_to_the_range_of_a_key_and_to_every_shard(ranges):
    from tests.db.shop.models import Order

    orders_of([5, 6, 150])
    with using_shard("users", 150):
        assert Order.objects.count() == 1
    assert {alias: Order.objects.count() for alias in on_every_shard("users")} == dict(
        zip(ranges, (2, 1, 0), strict=True)
    )
    assert Order.objects.scatter().count() == 3


def test_a_celebrity_s_rows_are_found_by_key_id_and_block(celebrity):
    from tests.db.shop.models import Order

    order = orders_of([7])[7]
    assert order._state.db == celebrity
    assert Order.objects.get(pk=order.pk) == order
    assert Order.objects.get(customer_id=7) == order
    with using_shard("users", 7):
        assert Order.objects.count() == 1


def test_a_neighbour_of_a_celebrity_s_slot_stays_where_it_is(celebrity):
    from tests.db.shop.models import Order

    scheme = schemes["users"]
    neighbour = next(key for key in range(8, 100_000) if scheme.slot(key) == scheme.slot(7))
    order = orders_of([neighbour])[neighbour]
    assert order._state.db != celebrity
    assert Order.objects.get(pk=order.pk) == order


def test_a_directory_places_rows_that_were_assigned(shards):
    from tests.db.shop.models import Order

    create_tables("default", app="scalekit_db")
    with override_settings(SCALEKIT_DB_SHARDING=sharding("Directory", shards)):
        init_map("users")
        with pytest.raises(KeyUnassigned):
            orders_of([7])
        assign_key("users", 7, "shard_2")
        order = orders_of([7])[7]
        assert order._state.db == "shard_2"
        assert Order.objects.get(pk=order.pk) == order
