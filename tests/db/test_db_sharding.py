from __future__ import annotations

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import prefetch_related_objects

from scalekit.db import on_every_shard, using_shard
from scalekit.db.conf import schemes
from scalekit.db.exceptions import (
    CrossShardQuery,
    CrossShardRelation,
    SeveralShards,
    ShardKeyRequired,
    WrongShard,
)
from tests.db.databases import rolled_back


def shop():
    from tests.db.shop import models

    return models


def home(key):
    return schemes["users"].shard_for(key)


def stored_on(model):
    """Return alias -> ids, as the databases themselves say."""
    found = {}
    for alias in schemes["users"].shards:
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT id FROM {model._meta.db_table}")
            found[alias] = {row[0] for row in cursor.fetchall()}
    return found


def apart():
    """Return two keys of different shards."""
    first = 1
    return first, next(key for key in range(2, 99) if home(key) != home(first))


def test_a_row_is_stored_on_the_shard_of_its_key_and_nowhere_else(shards):
    orders = [shop().Order.objects.create(customer_id=key) for key in range(1, 13)]
    stored = stored_on(shop().Order)
    for order in orders:
        assert [alias for alias, ids in stored.items() if order.pk in ids] == [
            home(order.customer_id)
        ]


@pytest.mark.parametrize(
    "conditions",
    [
        lambda o: {"customer_id": o.customer_id},
        lambda o: {"customer_id__in": [o.customer_id]},
        lambda o: {"customer_id": str(o.customer_id)},
        lambda o: {"pk": o.pk},
        lambda o: {"id__in": [o.pk]},
        lambda o: {"pk": o.pk, "note": ""},
    ],
)
def test_the_shard_is_found_from_the_conditions(shards, conditions):
    order = shop().Order.objects.create(customer_id=7)
    rows = shop().Order.objects.filter(**conditions(order))
    assert rows.db == home(7)
    assert rows.get() == order
    assert rows.count() == 1
    assert rows.exists()
    assert list(rows.exclude(note="x").values_list("pk", flat=True)) == [order.pk]


def test_a_query_that_names_no_shard_says_what_to_add(shards):
    message = r"Order\.objects\.filter\(customer_id=\.\.\.\)"
    for ask in (
        lambda: list(shop().Order.objects.all()),
        lambda: shop().Order.objects.filter(note="x").exists(),
        lambda: shop().Order.objects.exclude(customer_id=7).count(),
        lambda: shop().Order.objects.update(note="x"),
        lambda: shop().Order.objects.filter(note="x").delete(),
        lambda: shop().Order.objects.get(note="x"),
        lambda: shop().Order().save(),
    ):
        with pytest.raises(ShardKeyRequired, match=message):
            ask()


def test_keys_under_or_do_not_count(shards):
    from django.db.models import Q

    rows = shop().Order.objects.filter(Q(customer_id=7) | Q(note="x"))
    with pytest.raises(ShardKeyRequired):
        list(rows)


def test_keys_of_several_shards_point_to_scatter(shards):
    with pytest.raises(SeveralShards, match="scatter"):
        list(shop().Order.objects.filter(customer_id__in=apart()))


def test_what_matches_nothing_asks_any_shard(shards):
    assert list(shop().Order.objects.filter(customer_id__in=[])) == []
    assert list(shop().Order.objects.none()) == []


def test_instances_stay_on_their_shard(shards):
    order = shop().Order.objects.create(customer_id=7)
    order.note = "changed"
    order.save()
    order.refresh_from_db()
    assert order.note == "changed"
    assert order._state.db == home(7)
    order.delete()
    assert not any(stored_on(shop().Order).values())


def test_update_and_delete_run_on_the_shard_of_their_conditions(shards):
    one, other = apart()
    for key in (one, other):
        shop().Order.objects.create(customer_id=key)
    assert shop().Order.objects.filter(customer_id=one).update(note="new") == 1
    assert shop().Order.objects.filter(customer_id=one).delete()[0] == 1
    assert shop().Order.objects.get(customer_id=other).note == ""


def test_rows_that_hang_on_an_order_are_found_through_it(shards):
    order = shop().Order.objects.create(customer_id=7)
    line = order.lines.create(customer_id=7)
    gift = shop().Gift.objects.create(order=order)
    assert {line._state.db, gift._state.db} == {home(7)}
    assert list(order.lines.all()) == [line]
    assert list(shop().Gift.objects.filter(order=order)) == [gift]
    assert list(shop().Gift.objects.filter(order_id=order.pk)) == [gift]
    assert shop().Gift.objects.get(pk=gift.pk).order == order
    assert order.lines.filter(amount=1).count() == 1


def test_a_key_may_be_a_foreign_key_to_an_unsharded_row(shards):
    customer = shop().Customer.objects.create(name="Ann")
    address = customer.addresses.create(street="Main")
    assert address._state.db == home(customer.pk)
    assert list(customer.addresses.all()) == [address]
    assert list(shop().Address.objects.filter(owner=customer)) == [address]
    fresh = shop().Address.objects.get(pk=address.pk)
    assert fresh.owner == customer
    assert fresh.owner._state.db == "default"
    assert shop().Address(owner=customer, street="x").owner == customer


def test_a_relation_that_names_no_shard_is_refused_on_reading(shards):
    customer = shop().Customer.objects.create(name="Ann")
    order = shop().Order.objects.create(customer_id=7)
    gift = shop().Gift(giver=customer, order=order)
    gift.save()
    assert gift._state.db == home(7)
    for ask in (
        lambda: list(customer.gifts.all()),
        customer.gifts.count,
        lambda: customer.gifts.update(giver=None),
        lambda: customer.gifts.set([]),
        customer.gifts.clear,
    ):
        with pytest.raises(ShardKeyRequired):
            ask()
    assert list(customer.gifts.filter(order=order)) == [gift]
    assert shop().Gift.objects.scatter().filter(giver=customer).count() == 1


def test_a_relation_of_an_unsharded_row_writes_each_row_to_its_own_shard(shards):
    customer = shop().Customer.objects.create(name="Ann")
    one, other = (shop().Order.objects.create(customer_id=key) for key in apart())
    gifts = [
        customer.gifts.create(order=one),
        customer.gifts.get_or_create(order=other)[0],
        shop().Gift.objects.create(order=other),
    ]
    customer.gifts.add(gifts[2])
    customer.gifts.add(shop().Gift(order=one), bulk=False)
    assert [gift._state.db for gift in gifts] == [home(key) for key in (*apart(), apart()[1])]
    assert shop().Gift.objects.scatter().filter(giver=customer).count() == 4
    with pytest.raises(SeveralShards):
        customer.gifts.add(*gifts)


def test_get_or_create_and_update_or_create_find_the_shard(shards):
    order, created = shop().Order.objects.get_or_create(customer_id=7, note="a")
    assert created
    assert shop().Order.objects.get_or_create(customer_id=7, note="a") == (order, False)
    same, created = shop().Order.objects.update_or_create(pk=order.pk, defaults={"note": "b"})
    assert (same, same.note, created) == (order, "b", False)
    new, created = shop().Order.objects.update_or_create(
        note="c", defaults={"customer_id": 8, "items": 1}
    )
    assert (new._state.db, created) == (home(8), True)
    gift, created = shop().Gift.objects.get_or_create(order=order)
    assert (gift._state.db, created) == (home(7), True)


def test_bulk_create_and_bulk_update_go_to_every_row_s_shard(shards):
    orders = shop().Order.objects.bulk_create(
        [shop().Order(customer_id=key) for key in range(1, 31)]
    )
    assert [order.customer_id for order in orders] == list(range(1, 31))
    assert all(order._state.db == home(order.customer_id) for order in orders)
    assert all(stored_on(shop().Order).values())
    for order in orders:
        order.items = order.customer_id
    assert shop().Order.objects.bulk_update(orders, ["items"]) == 30
    assert shop().Order.objects.get(pk=orders[4].pk).items == 5


def test_bulk_create_of_nothing_asks_nobody(shards):
    assert shop().Order.objects.bulk_create([]) == []


def pairs(keys):
    """Return, for each key, an album with an order and a review with a reply."""
    albums, replies = [], []
    for key in keys:
        albums.append(shop().Album.objects.create(customer_id=key))
        albums[-1].orders.add(shop().Order.objects.create(customer_id=key, note=f"{len(albums)}"))
        review = shop().Review.objects.create(customer_id=key)
        replies.append(review.replies.create(customer_id=key))
    return albums, replies


def test_prefetching_is_right_where_ids_name_no_shard(shards):
    one, _ = apart()
    albums, replies = pairs([one, one])
    found = shop().Album.objects.filter(customer_id=one).prefetch_related("orders")
    assert [list(album.orders.all()) for album in found] == [[a.orders.get()] for a in albums]
    found = shop().Reply.objects.filter(customer_id=one).prefetch_related("review")
    assert {reply: reply.review for reply in found} == {reply: reply.review for reply in replies}
    found = shop().Review.objects.filter(customer_id=one).prefetch_related("replies")
    assert {reply for review in found for reply in review.replies.all()} == set(replies)


def test_prefetching_over_a_list_of_several_shards_finds_all_and_no_more(shards):
    one, other = apart()
    albums, replies = pairs([one, other])
    reviews = [reply.review for reply in replies]
    fresh = [shop().Reply.objects.get(customer_id=key) for key in (one, other)]
    for rows, lookup in ((albums, "orders"), (reviews, "replies"), (fresh, "review")):
        prefetch_related_objects(rows, lookup)
    assert [[order.customer_id for order in album.orders.all()] for album in albums] == [
        [one],
        [other],
    ]
    assert [list(review.replies.all()) for review in reviews] == [[reply] for reply in replies]
    assert [reply.review for reply in fresh] == reviews


def test_a_list_of_values_does_not_hide_the_row_a_query_hangs_on(shards):
    albums, _ = pairs([7])
    assert albums[0].orders.filter(note__in=["1", "2"]).count() == 1
    assert albums[0].orders.filter(items__in=[1, 2]).count() == 0


def test_using_shard_is_for_queries_that_name_none(shards):
    one, other = apart()
    for key in (one, other):
        shop().Order.objects.create(customer_id=key)
    with using_shard("users", one):
        assert shop().Order.objects.get().customer_id == one
        assert shop().Order.objects.get(customer_id=other).customer_id == other


def test_every_shard_in_turn(shards):
    for key in range(1, 20):
        shop().Order.objects.create(customer_id=key)
    counts = {alias: shop().Order.objects.count() for alias in on_every_shard("users")}
    assert sum(counts.values()) == 19
    assert on_every_shard("users")(shop().Order.objects.count)() == counts
    assert set(counts) == set(shards)


def test_every_shard_in_turn_is_no_block(shards):
    with pytest.raises(TypeError, match="for alias in on_every_shard"), on_every_shard("users"):
        pass


def test_an_explicit_database_wins(shards):
    order = shop().Order.objects.create(customer_id=7)
    elsewhere = next(alias for alias in shards if alias != home(7))
    assert shop().Order.objects.using(elsewhere).filter(customer_id=7).count() == 0
    assert shop().Order.objects.using(home(7)).get() == order


def test_a_changed_key_is_refused(shards):
    order = shop().Order.objects.create(customer_id=7)
    order.customer_id = 8
    with pytest.raises(WrongShard, match="create the row anew"):
        order.save()
    with pytest.raises(WrongShard, match="create the row anew"):
        order.save(using=home(7))
    assert shop().Order.objects.get(pk=order.pk).customer_id == 7


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(customer_id=8),
        lambda rows: rows.update_or_create(customer_id=7, defaults={"customer_id": 8}),
        lambda rows: rows.bulk_update([_rekeyed(rows.get())], ["customer_id"]),
    ],
)
def test_no_way_of_changing_a_key_gets_through(shards, change):
    shop().Order.objects.create(customer_id=7)
    with pytest.raises(WrongShard, match=r"create the row anew|Create the row anew"):
        change(shop().Order.objects.filter(customer_id=7))
    assert shop().Order.objects.get(customer_id=7).customer_id == 7


def _rekeyed(order):
    order.customer_id = 8
    return order


def test_in_bulk_and_contains(shards):
    order = shop().Order.objects.create(customer_id=7)
    assert shop().Order.objects.in_bulk([order.pk]) == {order.pk: order}
    assert shop().Order.objects.filter(customer_id=7).in_bulk() == {order.pk: order}
    assert shop().Order.objects.filter(customer_id=7).contains(order)


def test_a_callable_default_of_the_key_is_called_once(shards):
    keys = iter(range(1, 9))
    order, _ = shop().Order.objects.get_or_create(
        note="x", defaults={"customer_id": lambda: next(keys)}
    )
    assert (order.customer_id, order._state.db) == (1, home(1))


def test_no_way_of_saving_a_row_away_from_home_gets_through(shards):
    one, other = apart()
    rows = shop().Order.objects.using(home(other))
    for save in (
        lambda: shop().Order(customer_id=one).save(using=home(other)),
        lambda: rows.create(customer_id=one),
        lambda: rows.get_or_create(customer_id=one),
        lambda: rows.bulk_create([shop().Order(customer_id=one)]),
        lambda: shop().Order(customer_id=one).save(using="default"),
    ):
        with pytest.raises(WrongShard, match=f"belongs on {home(one)}"):
            save()
    assert not any(stored_on(shop().Order).values())
    assert rows.create(customer_id=other)._state.db == home(other)


@pytest.mark.parametrize(
    "write",
    [
        lambda row: row.save(),
        lambda row: row.delete(),
        lambda row: type(row).objects.bulk_update([row], ["customer_id"]),
    ],
)
def test_a_changed_key_is_refused_where_the_id_names_no_shard(shards, write):
    one, other = apart()
    review = shop().Review.objects.create(customer_id=one)
    review.customer_id = other
    with pytest.raises(WrongShard, match="create it anew"):
        write(review)
    assert shop().Review.objects.get(customer_id=one).pk == review.pk
    assert not shop().Review.objects.filter(customer_id=other).exists()


def test_a_row_read_without_its_key_is_saved_where_it_came_from(shards):
    shop().Review.objects.create(customer_id=7)
    review = shop().Review.objects.filter(customer_id=7).only("id").get()
    review.save(update_fields=["customer_id"])
    review.delete()
    assert not shop().Review.objects.filter(customer_id=7).exists()


def test_a_row_with_another_key_than_its_parent_is_refused(shards):
    order = shop().Order.objects.create(customer_id=7)
    with pytest.raises(WrongShard, match="torn apart"):
        shop().Line.objects.create(order_id=order.pk, customer_id=8)


def test_relations_across_shards_are_refused(shards):
    one, other = apart()
    line = shop().Line(customer_id=one)
    order = shop().Order.objects.create(customer_id=other)
    with pytest.raises(CrossShardRelation, match="same shard key"):
        line.order = order
    album = shop().Album.objects.create(customer_id=one)
    with pytest.raises(CrossShardRelation, match="same shard key"):
        album.orders.add(order)


def test_a_subquery_from_another_database_is_refused_with_the_remedy(shards):
    inner = shop().Address.objects.filter(owner_id=7).values("owner_id")
    with pytest.raises(CrossShardQuery, match="list"):
        shop().Customer.objects.filter(pk__in=inner)


def test_validation_looks_at_the_row_s_own_shard(shards):
    token = uuid.uuid4()
    shop().Order.objects.create(customer_id=7, note="a", token=token)
    with pytest.raises(ValidationError, match="Token"):
        shop().Order(customer_id=7, token=token).validate_unique()
    with pytest.raises(ValidationError, match=r"note_once|already exists"):
        shop().Order(customer_id=7, note="a").validate_constraints()
    shop().Order(customer_id=7, note="b").validate_constraints()


def test_a_transaction_on_the_shard_takes_its_rows_back(shards):
    with rolled_back(using=home(7)):
        shop().Order.objects.create(customer_id=7)
    assert not any(stored_on(shop().Order).values())


def test_unsharded_models_are_not_on_shards_nor_sharded_ones_on_default(shards):
    def tables(alias):
        return {
            name
            for name in connections[alias].introspection.table_names()
            if name.startswith("shop_")
        }

    assert tables("default") == {"shop_customer"}
    assert tables("shard_1") == {
        "shop_order",
        "shop_line",
        "shop_gift",
        "shop_address",
        "shop_album",
        "shop_album_orders",
        "shop_review",
        "shop_reply",
    }


def test_without_a_group_it_is_an_ordinary_model(unsharded):
    order = shop().Order.objects.create(customer_id=7)
    shop().Order.objects.bulk_create([shop().Order(customer_id=8), shop().Order(customer_id=9)])
    assert order._state.db == "default"
    assert shop().Order.objects.count() == 3
    assert shop().Order.objects.get_or_create(customer_id=7)[1] is False
    assert shop().Order.objects.scatter().order_by("-customer_id")[0].customer_id == 9
    assert shop().Customer.objects.filter(pk__in=shop().Order.objects.values("pk")).count() == 0


def test_ids_made_before_sharding_name_the_right_shard_after(shards):
    from scalekit.db.sharding.ids import slot_of_id
    from scalekit.db.sharding.slots import Slots

    order = shop().Order.objects.create(customer_id=7)
    for slots in (1, 8, 1024, 4096):
        scheme = Slots("x", shards=["a"], slots=slots)
        assert slot_of_id(order.pk) % slots == scheme.slot(7)


def test_uuid_keys_place_by_their_text(shards):
    key = uuid.uuid4()
    assert home(key) == home(str(key))
