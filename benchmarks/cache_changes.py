"""Ways to write an item, and the queries that show it: what a cache has to notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = """
TRUNCATE cache_shop_item, cache_shop_maker, cache_shop_label, cache_shop_item_labels RESTART IDENTITY CASCADE;
INSERT INTO cache_shop_maker (id, name) VALUES (1, 'one'), (2, 'two');
INSERT INTO cache_shop_label (id, name) VALUES (1, 'red'), (2, 'blue');
INSERT INTO cache_shop_item (id, name, price, maker_id)
    SELECT n, 'item ' || n, n * 100, 1 + n % 2 FROM generate_series(1, 20) n;
INSERT INTO cache_shop_item_labels (item_id, label_id) VALUES (1, 1), (2, 2);
"""


@dataclass(frozen=True)
class Change:
    """A write. `sends_signals`: Django's own signals tell of it."""

    name: str
    make: Callable[[int], object]
    sends_signals: bool = True
    atomic: bool = False

    def __call__(self, key):
        return self.make(key)


def make_tables():
    """Make the shop's tables where they are not there."""
    from django.db import connection

    from benchmarks.cache_shop.models import Item, Label, Maker

    with connection.schema_editor() as editor:
        for model in (Maker, Label, Item):
            editor.create_model(model)


def fill():
    """Put the rows back as they were, behind every library's back."""
    from django.db import connection
    from psycopg import connect

    parameters = connection.get_connection_params()
    for known_to_django in ("cursor_factory", "context"):
        parameters.pop(known_to_django, None)
    with connect(**parameters) as plain:
        plain.execute(ROWS)


def items():
    from benchmarks.cache_shop.models import Item

    return Item.objects


def item(key, **values):
    from benchmarks.cache_shop.models import Item

    return Item(
        **{"pk": key, "name": f"item {key}", "price": -1, "maker_id": 1 + key % 2, **values}
    )


def sql(statement, *parameters, many=False):
    from django.db import connection

    with connection.cursor() as cursor:
        (cursor.executemany if many else cursor.execute)(statement, *parameters)


def raw(key):
    sql("UPDATE cache_shop_item SET price = -1 WHERE id = %s", [key])


def maker(key):
    from benchmarks.cache_shop.models import Maker

    row = Maker.objects.get(pk=key)
    row.name = "renamed"
    return row


def nested(key):
    """Save, and try another save that is taken back."""
    from django.db import transaction

    with transaction.atomic():
        loaded(key).save()
        point = transaction.savepoint()
        loaded(key, price=-2).save()
        transaction.savepoint_rollback(point)


def update(key):
    items().filter(pk=key).update(price=-1)


def bulk_update(key):
    items().bulk_update([item(key)], ["price"])


RACING = (
    Change("save()", lambda key: item(key).save()),
    Change("save() in atomic()", lambda key: item(key).save(), atomic=True),
    Change("update()", update, sends_signals=False),
    Change("bulk_update()", bulk_update, sends_signals=False),
    Change("raw SQL", raw, sends_signals=False),
    Change("delete()", lambda key: item(key).delete()),
)


def loaded(key, **values):
    """Return the row as a project has it: read first, then changed."""
    row = items().get(pk=key)
    for name, value in {"price": -1, **values}.items():
        setattr(row, name, value)
    return row


def writes():
    """Return the 19 writes to item 1, or of what it depends on."""
    from django.db.models import F

    new = {"pk": 50, "name": "new", "price": 5, "maker_id": 1}
    many = "UPDATE cache_shop_item SET price = %s WHERE id = %s"
    return (
        Change("create()", lambda _: items().create(**new)),
        Change("save()", lambda key: loaded(key).save()),
        Change("save(update_fields)", lambda key: loaded(key).save(update_fields=["price"])),
        Change(
            "update_or_create()",
            lambda key: items().update_or_create(pk=key, defaults={"price": -1}),
        ),
        Change("get_or_create()", lambda _: items().get_or_create(name="new", defaults=new)),
        Change("bulk_create()", lambda _: items().bulk_create([item(50, price=5, maker_id=1)])),
        Change(
            "bulk_create(update_conflicts)",
            lambda key: items().bulk_create(
                [loaded(key)],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=["price"],
            ),
        ),
        Change("bulk_update()", bulk_update),
        Change("update()", update),
        Change("update(F())", lambda key: items().filter(pk=key).update(price=F("price") - 1)),
        Change("delete()", lambda key: items().get(pk=key).delete()),
        Change("QuerySet.delete()", lambda key: items().filter(pk=key).delete()),
        Change("delete() that cascades", lambda key: maker(1 + key % 2).delete()),
        Change("raw SQL", raw),
        Change("raw SQL, executemany", lambda key: sql(many, [(-1, key), (-2, 3)], many=True)),
        Change("m2m add()", lambda _: items().get(pk=3).labels.add(1)),
        Change("m2m clear()", lambda key: items().get(pk=key).labels.clear()),
        Change("save() of what it refers to", lambda key: maker(1 + key % 2).save()),
        Change("save() beside a savepoint's rollback", nested),
    )


def one(keep, key=1):
    return [(row.name, row.price) for row in keep(items().filter(pk=key))]


def some(keep):
    return [(row.pk, row.price) for row in keep(items().filter(price__lt=900).order_by("pk"))]


def values(keep):
    return list(keep(items().order_by("pk").values_list("name", "price")))


def joined(keep):
    rows = items().filter(pk__lt=4).select_related("maker").order_by("pk")
    return [(row.pk, row.maker.name) for row in keep(rows)]


def inside(keep):
    from benchmarks.cache_shop.models import Maker

    makers = Maker.objects.filter(name="two")
    return [(row.pk, row.price) for row in keep(items().filter(maker__in=makers).order_by("pk"))]


def labelled(keep):
    return [row.pk for row in keep(items().filter(labels__name="red").order_by("pk"))]


def counted(keep):
    return keep(items().filter(price=100)).count()


def summed(keep):
    from django.db.models import Sum

    return keep(items().all()).aggregate(all=Sum("price"))["all"]


SHAPES = (one, some, values, joined, inside, labelled, counted, summed)


def models_of(shape):
    """Return what the answers of a shape depend on; of `one` a row alone, so as a function of its key."""
    from benchmarks.cache_shop.models import Item, Label, Maker

    if shape is one:
        return lambda key=1: [(Item, key)]
    more = {joined: Maker, inside: Maker, labelled: Label}.get(shape)
    return [Item, more] if more else [Item]
