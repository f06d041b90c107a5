"""A subquery runs on the database of the query around it, so it must be about rows of that shard."""

from __future__ import annotations

import pytest
from django.db.models import Exists, OuterRef, Q, Subquery

from scalekit.db import using_shard
from scalekit.db.conf import schemes
from scalekit.db.exceptions import CrossShardQuery
from tests.db.test_db_sharding import apart, home, shop


@pytest.fixture
def orders(shards):
    """Two orders on different shards, each with a line; the second has three items."""
    made = [
        shop().Order.objects.create(customer_id=key, note="x", items=items)
        for key, items in zip(apart(), (1, 3), strict=True)
    ]
    for order in made:
        order.lines.create(customer_id=order.customer_id, amount=order.items)
    return made


def of(order):
    return shop().Order.objects.filter(customer_id=order.customer_id)


def notes(rows):
    return rows.values("note")


@pytest.mark.parametrize(
    "inner",
    [
        lambda here, there: notes(of(there)),
        lambda here, there: notes(shop().Order.objects.filter(items=3)),
        lambda here, there: notes(of(here) | of(there)),
        lambda here, there: shop().Order.objects.filter(items=3).order_by("id").values("note")[:1],
        lambda here, there: shop().Customer.objects.values("name"),
    ],
    ids=["another key", "no key", "either key", "a slice", "an unsharded model"],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda rows, inner: list(rows.filter(note__in=inner)),
        lambda rows, inner: rows.exclude(note__in=inner).delete(),
        lambda rows, inner: rows.filter(Q(items=9) | Q(note__in=inner)).count(),
        lambda rows, inner: list(rows.annotate(other=Subquery(inner[:1]))),
        lambda rows, inner: rows.update(note=Subquery(inner[:1])),
        lambda rows, inner: list(rows.order_by(Exists(inner))),
        lambda rows, inner: list(rows.filter(Exists(inner))),
    ],
    ids=["in", "exclude", "or", "annotate", "update", "order_by", "exists"],
)
def test_a_subquery_that_may_be_about_other_shards_is_refused(orders, ask, inner):
    here, there = orders
    with pytest.raises(CrossShardQuery, match="list"):
        ask(of(here), inner(here, there))
    assert shop().Order.objects.scatter().filter(note="x").count() == 2


@pytest.mark.parametrize(
    "condition",
    [
        lambda: Q(note__in=notes(shop().Order.objects.filter(items=3))),
        lambda: Q(note__in=notes(shop().Order.objects.filter(customer_id=1))),
        lambda: Q(Exists(shop().Order.objects.filter(note=OuterRef("note")))),
        lambda: Q(pk__in=shop().Line.objects.order_by("id").values("order")[:1]),
        lambda: Q(pk__in=shop().Line.objects.values("id")),
    ],
)
def test_a_subquery_under_scatter_is_refused_unless_tied(orders, condition):
    with pytest.raises(CrossShardQuery, match="tie them"):
        list(shop().Order.objects.scatter().filter(condition()))


@pytest.mark.parametrize(
    "condition",
    [
        lambda: Q(pk__in=shop().Line.objects.filter(amount=3).values("order")),
        lambda: Q(customer_id__in=shop().Line.objects.filter(amount=3).values("customer_id")),
        lambda: Q(Exists(shop().Line.objects.filter(order=OuterRef("pk"), amount=3))),
        lambda: Q(
            Exists(
                shop().Line.objects.filter(
                    order__in=shop().Order.objects.filter(items=3), order=OuterRef("pk")
                )
            )
        ),
        lambda: ~Q(lines__amount=1),
    ],
    ids=["id", "key", "outer id", "nested", "exclude through a relation"],
)
def test_rows_tied_by_their_key_or_id_are_on_one_shard(orders, condition):
    here, there = orders
    assert list(shop().Order.objects.scatter().filter(condition())) == [there]
    assert list(of(there).filter(condition())) == [there]
    assert list(of(here).filter(condition())) == []


def test_a_subquery_with_the_same_key_works(orders):
    here, _ = orders
    assert list(of(here).filter(note__in=notes(of(here)))) == [here]


def test_using_shard_is_for_the_subquery_too(orders):
    here, _ = orders
    untied = shop().Order.objects.filter(note__in=notes(shop().Order.objects.filter(items=1)))
    with using_shard("users", here.customer_id):
        assert list(untied) == [here]


def test_an_explicit_database_is_for_the_subquery_too(orders):
    here, there = orders
    rows = shop().Order.objects.using(home(here.customer_id))
    assert list(rows.filter(note__in=notes(shop().Order.objects.filter(items=1)))) == [here]
    for elsewhere in (notes(of(there)), shop().Customer.objects.values("name")):
        with pytest.raises(CrossShardQuery):
            list(rows.filter(note__in=elsewhere))


def test_excluding_through_a_relation_works_where_ids_name_no_shard(shards):
    review = shop().Review.objects.create(customer_id=7)
    rows = shop().Review.objects.filter(customer_id=7)
    assert list(rows.exclude(replies__customer_id=8)) == [review]
    assert list(shop().Album.objects.filter(customer_id=7).exclude(orders__items=1)) == []


def test_the_parts_of_a_union_are_of_one_shard(orders):
    here, there = orders
    assert list(of(here).union(of(here).filter(items=3))) == [here]
    with using_shard("users", there.customer_id), pytest.raises(CrossShardQuery):
        list(of(here).union(shop().Order.objects.filter(items=3)))


def test_without_a_group_subqueries_are_the_database_s_affair(unsharded):
    shop().Customer.objects.create(name="x")
    order = shop().Order.objects.create(customer_id=1, note="x")
    inner = shop().Customer.objects.values("name")
    assert list(shop().Order.objects.filter(note__in=inner)) == [order]
    assert list(schemes) == []
