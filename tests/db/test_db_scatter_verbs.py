"""Every verb of a queryset over shards, beside the random questions of the oracle."""

from __future__ import annotations

import json
import pickle
import threading
from base64 import urlsafe_b64encode

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.core.paginator import Paginator
from django.db import models, transaction
from django.db.models import Avg, Count, F, Max, Prefetch, Q, Sum, Window
from django.db.models.functions import RowNumber
from django.test import override_settings
from django.views.generic import ListView

from scalekit.db.conf import schemes
from scalekit.db.exceptions import (
    CrossShardQuery,
    CursorInvalid,
    ScatterUnsupported,
    ShardFailed,
    ShardKeyRequired,
    WrongShard,
)
from scalekit.db.sharding import threads
from scalekit.db.sharding.scatter import streaming
from scalekit.db.sharding.scatter.streaming import Stream
from scalekit.testing.fakes import captured_events


@pytest.fixture
def orders(shards):
    """Thirty orders of as many customers, each with a line."""
    from tests.db.shop.models import Line, Order

    made = Order.objects.bulk_create(
        [Order(customer_id=key, items=key % 3, note=f"n{key:02}") for key in range(1, 31)]
    )
    Line.objects.bulk_create(
        [Line(customer_id=order.customer_id, order=order, amount=2) for order in made]
    )
    return Order.objects


def customers(rows):
    return [row.customer_id for row in rows]


def test_it_is_a_queryset(orders):
    rows = orders.scatter()
    assert isinstance(rows, models.QuerySet)
    assert rows.filter(items=1).exclude(customer_id=1).count() == 9
    assert ListView(queryset=rows).get_queryset().count() == 30
    assert Paginator(rows.order_by("customer_id"), 7).page(5).object_list[1].customer_id == 30


def test_the_methods_of_a_project_s_own_queryset_are_kept(orders):
    class Chosen(type(orders.all())):
        def chosen(self):
            return self.filter(items=1)

    rows = Chosen(orders.model).chosen().scatter().chosen().order_by("customer_id")
    assert customers(rows) == list(range(1, 31, 3))
    assert type(rows.on_one_shard()) is Chosen


def test_it_is_pickled_with_its_rows(orders):
    rows = pickle.loads(pickle.dumps(orders.scatter().order_by("customer_id")[:3]))
    assert customers(rows) == [1, 2, 3]
    assert rows.order_by is not None
    again = orders.scatter()
    again.query = pickle.loads(pickle.dumps(orders.scatter().filter(customer_id__lt=3).query))
    assert len(again) == 2


def test_len_bool_index_in_contains(orders):
    rows = orders.scatter().order_by("-customer_id")
    assert (len(rows), bool(rows), rows[4].customer_id) == (30, True, 26)
    found = orders.get(customer_id=7)
    assert found in rows
    assert rows.contains(found)
    assert orders.scatter().contains(found)
    assert not orders.scatter().filter(items=2).contains(found)


def test_ties_are_ordered_by_id_and_reversed_as_a_whole(orders):
    rows = list(orders.scatter().order_by("items"))
    assert rows == sorted(rows, key=lambda row: (row.items, row.pk))
    assert list(orders.scatter().order_by("items").reverse()) == rows[::-1]
    assert orders.scatter().order_by("items").last() == rows[-1]


def test_without_an_order_rows_have_that_of_the_id(orders):
    rows = list(orders.scatter())
    assert orders.scatter().ordered
    assert rows == sorted(rows, key=lambda row: row.pk)
    assert (orders.scatter().first(), orders.scatter().last()) == (rows[0], rows[-1])
    assert Paginator(orders.scatter(), 7).page(2).object_list[0] == rows[7]
    with pytest.raises(TypeError, match="first"):
        orders.scatter().values("items").annotate(n=Count("pk")).first()


def test_in_bulk(orders):
    ids = [row.pk for row in orders.scatter().order_by("customer_id")[:5]]
    found = orders.scatter().in_bulk(ids)
    assert customers(found[pk] for pk in ids) == [1, 2, 3, 4, 5]
    assert len(orders.scatter().in_bulk()) == 30


def test_update_and_delete_on_every_shard(orders):
    assert orders.scatter().filter(items=1).update(items=F("items") + 9) == 10
    assert orders.scatter().filter(items=10).count() == 10
    count, by_model = orders.scatter().filter(items=10).delete()
    assert (count, by_model) == (20, {"shop.Order": 10, "shop.Line": 10})
    assert orders.scatter().count() == 20
    assert orders.scatter().none().update(items=1) == 0
    assert orders.scatter().none().delete() == (0, {})


def test_what_an_update_would_break_it_refuses_on_every_shard(orders):
    with pytest.raises(WrongShard):
        orders.scatter().update(customer_id=1)
    untied = orders.filter(items=2).values("note")[:1]
    with pytest.raises(CrossShardQuery):
        orders.scatter().update(note=untied)
    with pytest.raises(ScatterUnsupported, match="leave out partial"):
        orders.scatter(partial=True).update(items=1)
    assert orders.scatter().filter(items=1).count() == 10


def test_a_new_row_goes_to_its_shard(orders):
    made = orders.scatter().create(customer_id=77)
    assert made._state.db == schemes["users"].shard_for(77)
    assert orders.scatter().get_or_create(customer_id=77) == (made, False)
    with pytest.raises(ShardKeyRequired):
        orders.scatter().get_or_create(note="nobody's")


def test_using_a_shard_asks_that_one(orders):
    rows = orders.scatter().using("shard_1")
    assert {row._state.db for row in rows} == {"shard_1"}
    assert len(orders.scatter().using(None)) == 30


def test_explain_speaks_for_each_shard(orders, shards):
    text = orders.scatter().filter(items=1).explain()
    assert all(f"{alias}:\n" in text for alias in shards)


def test_relations_are_followed_on_the_shards(orders):
    from tests.db.shop.models import Line

    lines = Line.objects.scatter().select_related("order").order_by("-order__customer_id")
    assert [line.order.customer_id for line in lines[:3]] == [30, 29, 28]
    assert list(
        Line.objects.scatter().order_by("order").values_list("order_id", flat=True)
    ) == sorted(line.order_id for line in lines)
    rows = orders.scatter().prefetch_related("lines").order_by("customer_id")
    assert [len(row.lines.all()) for row in rows] == [1] * 30
    streamed = rows.iterator(chunk_size=4)
    assert [len(row._prefetched_objects_cache["lines"]) for row in streamed] == [1] * 30


def test_what_is_read_to_sort_by_is_not_left_on_the_rows(orders):
    row = (
        orders.scatter().annotate(n=Count("lines")).order_by(F("customer_id") + F("items"), "n")[0]
    )
    assert {name for name in row.__dict__ if name.startswith("scatter")} == set()
    assert row.n == 1
    only = orders.scatter().only("note").order_by("-customer_id").first()
    assert only.get_deferred_fields() >= {"customer_id", "items"}


def test_aggregates_with_defaults_and_of_nothing(orders):
    nothing = orders.scatter().none()
    assert nothing.aggregate(Count("pk"), Sum("items"), total=Sum("items", default=7)) == {
        "pk__count": 0,
        "items__sum": None,
        "total": 7,
    }
    assert orders.scatter().aggregate(Avg("items"), most=Max("note")) == {
        "items__avg": 1.0,
        "most": "n30",
    }
    distinct = orders.scatter().aggregate(n=Count("items", distinct=True, filter=Q(items__gt=0)))
    assert distinct == {"n": 2}


def test_aggregates_of_annotated_rows(orders):
    rows = orders.scatter().annotate(n=Count("lines"), twice=F("items") * 2)
    assert rows.aggregate(Sum("n"), Sum("twice")) == {"n__sum": 30, "twice__sum": 60}


def test_groups_by_the_key_are_pushed_down_whole(orders, django_assert_num_queries):
    rows = (
        orders.scatter().values("customer_id").annotate(n=Count("pk")).order_by("-n", "customer_id")
    )
    assert list(rows[:2]) == [{"customer_id": 1, "n": 1}, {"customer_id": 2, "n": 1}]
    assert rows.filter(n__gt=1).count() == 0
    assert rows.count() == 30


@pytest.mark.parametrize(
    "ask",
    [
        lambda rows: rows.union(rows),
        lambda rows: rows.raw("SELECT 1"),
        lambda rows: rows.annotate(n=Window(RowNumber())).first(),
        lambda rows: list(rows.order_by(Window(RowNumber()))),
        lambda rows: list(rows.values("items").annotate(n=Count("pk")).filter(n__gt=3)),
        lambda rows: list(rows.values("items").annotate(n=Count("note", distinct=True))),
        lambda rows: list(rows.values("items").annotate(n=Sum("items") + Count("pk"))),
        lambda rows: rows.values("items").annotate(n=Count("pk")).aggregate(Sum("n")),
        lambda rows: rows[:3].aggregate(Sum("items")),
        lambda rows: rows.values("items").distinct().aggregate(Sum("items")),
        lambda rows: rows.aggregate(n=Sum("items") / Count("pk")),
    ],
)
def test_what_has_no_exact_merge_is_refused(orders, ask):
    with pytest.raises(ScatterUnsupported):
        ask(orders.scatter())


def test_more_rows_than_there_is_room_for_are_refused(orders):
    with override_settings(SCALEKIT_DB_SCATTER_MAX_ROWS=20):
        assert len(orders.scatter()[:6]) == 6
        assert len(list(orders.scatter().iterator())) == 30
        assert orders.scatter().count() == 30
        for rows in (
            orders.scatter(),
            orders.scatter()[25:],
            orders.scatter().values("note").distinct(),
        ):
            with pytest.raises(ScatterUnsupported, match=r"iterator\(\)"):
                list(rows)
    with (
        override_settings(SCALEKIT_DB_SCATTER_MAX_ROWS=2),
        pytest.raises(ScatterUnsupported, match=r"iterator\(\)"),
    ):
        list(orders.scatter().values("items").annotate(n=Count("pk")))
    with override_settings(SCALEKIT_DB_SCATTER_MAX_ROWS=0):
        assert len(orders.scatter()) == 30


@pytest.mark.parametrize(
    "order", [["customer_id"], ["-items", "note"], ["items"], ["-day", "id"], []]
)
def test_pages_after_a_row_are_the_whole(orders, order):
    rows = orders.scatter().order_by(*order)
    whole, page, found = list(rows), list(rows[:7]), []
    while page:
        found += page
        page = list(rows.after(rows.cursor(page[-1]))[:7])
    assert found == whole
    assert list(rows.after(whole[11])) == whole[12:]


def test_pages_after_a_row_count_nulls_where_they_stand(orders):
    orders.scatter().filter(customer_id__lte=9).update(items=None)
    for order in (
        "items",
        "-items",
        F("items").asc(nulls_first=True),
        F("items").desc(nulls_last=True),
    ):
        rows = orders.scatter().order_by(order)
        whole = list(rows)
        assert [list(rows.after(row)) for row in whole] == [whole[i + 1 :] for i in range(30)]


def forged(*values):
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a" * 5000,
        forged(1),
        forged(1, 2),
        forged([], [], []),
        forged("1e99999", "a", 1),
        forged(1, "\0", 1),
        forged(1, "a", 10**30),
    ],
)
def test_a_forged_cursor_is_an_error_of_its_own(orders, cursor):
    with pytest.raises(CursorInvalid):
        orders.scatter().order_by("price", "note").after(cursor)


def test_pages_of_an_ordinary_queryset(unsharded):
    from tests.db.shop.models import Order

    for key in range(1, 10):
        Order.objects.create(customer_id=key, items=key % 2)
    rows = Order.objects.scatter().order_by("items", "id")
    whole = list(rows)
    assert list(rows.after(rows.cursor(whole[3]))) == whole[4:]
    assert list(rows.reverse().after(whole[3])) == whole[2::-1]
    assert rows.failed == ()


def test_scatter_stands_in_prefetches_and_combinations(orders):
    from tests.db.shop.models import Line

    lines = Prefetch("lines", Line.objects.scatter().filter(amount=2))
    assert [len(row.lines.all()) for row in orders.scatter().prefetch_related(lines)] == [1] * 30
    few, many = orders.scatter().filter(items=0), orders.scatter().filter(customer_id__gt=3)
    assert ((few | many).count(), (few & many).count()) == (28, 9)
    with pytest.raises(CrossShardQuery):
        list(orders.filter(customer_id=1, note__in=orders.scatter().values("note")))


def test_an_event_loop_is_not_held_up(orders):
    async def ask():
        return list(orders.scatter().iterator())

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(ask)()


def test_a_stream_that_is_left_leaves_no_thread_at_work(orders, monkeypatch):
    monkeypatch.setattr(threads, "is_testing", lambda: False)
    stream = orders.scatter().order_by("customer_id").iterator(chunk_size=2)
    assert next(stream).customer_id == 1
    stream.close()
    threads.crew.dismiss()
    assert not threads.crew.workers()


def test_silent_streams_are_waited_for_at_once(orders, shards, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(streaming, "chunks_of", lambda *_: (ended.wait(30) for _ in "1"))
    streams = [Stream(None, alias, 1, seconds=5) for alias in shards]
    for stream in streams:
        stream._began -= 60
        with pytest.raises(ShardFailed):
            next(iter(stream))
    ended.set()
    for stream in streams:
        stream.close()


def test_many_streams_at_once(orders):
    with override_settings(SCALEKIT_DB_SHARD_THREADS=1):
        rows = orders.scatter().order_by("customer_id")
        streams = [rows.iterator(chunk_size=3) for _ in range(4)]
        assert [[row.customer_id for row in four] for four in zip(*streams, strict=True)] == [
            [key] * 4 for key in range(1, 31)
        ]


def test_in_a_transaction_its_own_rows_are_seen(orders):
    alias = orders.get(customer_id=5)._state.db
    with transaction.atomic(using=alias):
        orders.filter(customer_id=5).update(items=50)
        assert orders.scatter().filter(items=50).count() == 1
        assert [row.customer_id for row in orders.scatter().filter(items=50).iterator()] == [5]
        assert orders.scatter().aggregate(Max("items")) == {"items__max": 50}
        transaction.set_rollback(True, using=alias)


def test_async_verbs(orders):
    async def ask():
        rows = orders.scatter().order_by("customer_id")
        return (
            [row.customer_id async for row in rows.aiterator(chunk_size=4)],
            [row.customer_id async for row in rows],
            await rows.aaggregate(Sum("items")),
            (await rows.alast()).customer_id,
            await rows.filter(items=2).aupdate(items=3),
            (await rows.filter(items=3).adelete())[0],
        )

    everyone = list(range(1, 31))
    assert async_to_sync(ask)() == (everyone, everyone, {"items__sum": 30}, 30, 10, 20)


def test_what_was_asked_is_told(orders):
    with captured_events("db_scattered") as events:
        orders.scatter().filter(customer_id__in=[1, 2]).count()
    assert events.named("db_scattered")[0]["verb"] == "count"
