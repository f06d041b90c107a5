"""Random querysets, asked of shards and of one database that holds the same rows."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connections
from django.db.models import (
    Avg,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    StdDev,
    Sum,
    Variance,
)
from django.db.models.functions import Coalesce, Length, Lower, TruncMonth, Upper

from scalekit.db.exceptions import ScatterUnsupported

ORACLE = "oracle"
NULLABLE = ("items", "price", "weight", "day", "placed", "token")
COLUMNS = ("id", "customer_id", "paid", "note", *NULLABLE)
WORDS = [
    *(
        "",
        "a",
        "A",
        "ä",
        "Ä",
        "ab",
        "a b",
        "a-b",
        "aB",
        "Ab",
        "äb",
        "b",
        "B",
        "ba",
        "z",
        "Z",
        "zebra",
    ),
    *(
        "Zebra",
        "ss",
        "ß",
        "sst",
        "strasse",
        "straße",
        "Straße",
        "résumé",
        "resume",
        "Résumé",
        "résume",
    ),
    *(
        "1",
        "10",
        "2",
        "i",
        "I",
        "ı",  # noqa: RUF001 - which is the point
        "İ",
        "naïve",
        "naive",
        "o",
        "ö",
        "oe",
        "œ",
        "Œ",
        "日本",
        "_",
        "-",
    ),
]


def random_order(model, rng, left):
    """Return a row with many ties and many NULLs; a customer has each text of `left` once."""

    def maybe(value):
        return None if rng.random() < 0.3 else value

    customer = rng.randint(1, 25)
    return model(
        customer_id=customer,
        note=left[customer].pop() if left[customer] else f"{rng.random():.12f}",
        items=maybe(rng.randint(-2, 2)),
        price=maybe(Decimal(rng.randint(-200, 200)) / 100),
        weight=maybe(rng.choice([float("nan"), 0.5, -1.25, 3.0])),
        day=maybe(date(2025, 1, 30) + timedelta(days=rng.randint(0, 3))),
        placed=maybe(datetime(2025, 1, 31, 23, tzinfo=UTC) + timedelta(hours=rng.randint(0, 3))),
        paid=rng.random() < 0.5,
        token=maybe(UUID(int=rng.getrandbits(128))),
    )


def fill(rows, seed):
    """Store the same orders, with lines, on the shards and on the oracle."""
    from tests.db.shop.models import Line, Order

    rng = random.Random(seed)
    left = {customer: rng.sample(WORDS, len(WORDS)) for customer in range(1, 26)}
    orders = Order.objects.bulk_create([random_order(Order, rng, left) for _ in range(rows)])
    lines = Line.objects.bulk_create(
        [
            Line(customer_id=order.customer_id, order=order, amount=rng.randint(1, 3))
            for order in orders
            for _ in range(rng.randint(0, 2))
        ]
    )
    with connections[ORACLE].schema_editor() as editor:
        for model in (Order, Line):
            editor.create_model(model)
    for model, made in ((Order, orders), (Line, lines)):
        QuerySet(model, using=ORACLE).bulk_create([_copy(model, row) for row in made])


def _copy(model, row):
    names = [field.attname for field in model._meta.concrete_fields]
    return model(**{name: getattr(row, name) for name in names})


class Question:
    """What is asked of a queryset: by `scatter()`, and of one database in an order without ties.

    One database may return ties in any order; scatter() promises that of the id, and in what has no id
    that of the values.
    """

    def __init__(self, rng):
        self.rng, self.text = rng, []
        kinds = [self.rows, self.rows, self.rows, self.values, self.distinct, self.groups]
        kinds += [self.single, self.aggregates, self.counts, self.calendar]
        self.ask = rng.choice(kinds)
        self.seed = rng.random()

    def __call__(self, rows, *, single):
        self.rng, self.text, self.one = random.Random(self.seed), [], single
        return self.ask(self.prepared(rows))

    def pick(self, *choices):
        chosen = self.rng.choice(choices)
        self.text.append(f"{getattr(chosen, '__name__', chosen)}")
        return chosen

    def prepared(self, rows):
        for _ in range(self.rng.randint(0, 2)):
            exclude, condition = self.rng.random() < 0.3, self.condition()
            self.text.append(f"{'exclude' if exclude else 'filter'} {condition}")
            rows = rows.exclude(condition) if exclude else rows.filter(condition)
        if self.rng.random() < 0.4:
            rows = rows.annotate(extra=self.pick(*self.extras()))
            self.sortable = (*COLUMNS, "extra")
        else:
            self.sortable = COLUMNS
        return rows

    def condition(self):
        from tests.db.shop.models import Line

        number = self.rng.randint(-2, 3)
        return self.rng.choice(
            [
                Q(items__gte=number),
                Q(paid=number > 0),
                Q(price__isnull=number > 0),
                Q(customer_id=self.rng.randint(1, 25)),
                Q(customer_id__in=self.rng.sample(range(1, 26), 4)),
                Q(items=1) | Q(customer_id__lt=9),
                Q(day__gt=date(2025, 1, 31)),
                Q(note__gte="b"),
                Q(note__icontains="s"),
                Q(lines__amount=number),
                Q(Exists(Line.objects.filter(order=OuterRef("pk"), amount__gte=number))),
                Q(placed__month=2),
            ]
        )

    def extras(self):
        return [
            Count("lines"),
            Sum("lines__amount"),
            Lower("note"),
            Upper("note"),
            Length("note"),
            F("items") * 2 + F("customer_id"),
            Coalesce("items", 0),
            TruncMonth("placed"),
            Max("lines__amount", filter=Q(lines__amount__lt=3)),
        ]

    def order(self, names=None):
        """Return columns to order by; sometimes expressions."""
        names = self.sortable if names is None else names
        chosen = []
        for name in self.rng.sample(names, min(len(names), self.rng.randint(0, 3))):
            way = self.rng.choice(["", "", "-", "-", "first", "last", "lower"])
            chosen.append(
                F(name).desc(nulls_last=True)
                if way == "last"
                else F(name).asc(nulls_first=True)
                if way == "first"
                else Lower(name).desc()
                if way == "lower" and name == "note"
                else way.replace("first", "").replace("lower", "") + name
            )
        self.text.append(f"order_by {chosen}")
        return chosen

    def cut(self, rows):
        start = self.rng.choice([0, 0, 3, 40, 500])
        found = self.rng.choice(
            [None, slice(start, start + self.rng.randint(0, 30)), slice(start, None)]
        )
        self.text.append(f"{found}")
        return rows if found is None else rows[found]

    def ordered(self, rows, ties):
        return rows.order_by(*self.order(), *(ties if self.one else ()))

    def rows(self, rows):
        how = self.pick("list", "iterator", "related", "only", "reverse")
        rows = self.ordered(rows, ["id"])
        if how == "reverse":
            rows = rows.reverse()
        if how == "only":
            rows = rows.only("id", "paid")
        rows = self.cut(rows)
        read = rows.iterator(chunk_size=7) if how == "iterator" else rows
        return [(row.pk, row.paid, getattr(row, "extra", None)) for row in read]

    def values(self, rows):
        names = self.rng.sample(self.sortable, 2)
        shape = self.pick("values", "values_list", "flat", "named")
        rows = self.ordered(rows, ["id"])
        if shape == "flat":
            return list(self.cut(rows.values_list(names[0], flat=True)))
        if shape == "named":
            return [row._asdict() for row in self.cut(rows.values_list(*names, named=True))]
        return list(self.cut(getattr(rows, shape)(*names)))

    def distinct(self, rows):
        names = self.rng.sample([n for n in self.sortable if n not in {"id", "token"}], 2)
        self.text.append(f"distinct {names}")
        chosen = self.order(names)
        rows = rows.values_list(*names).distinct().order_by(*chosen, *(names if self.one else ()))
        if self.rng.random() < 0.3:
            self.text.append("count")
            return rows.count()
        return list(self.cut(rows))

    def groups(self, rows):
        by = self.rng.sample(
            ["paid", "items", "day", "price", "note", "customer_id"], self.rng.randint(1, 2)
        )
        asked = self.some_aggregates(grouped=True)
        rows = rows.values(*by).annotate(**asked).order_by(*self.order([*by, *asked]), *by)
        self.text.append(f"group by {by}")
        if self.rng.random() < 0.2:
            return rows.count()
        return list(self.cut(rows))

    def some_aggregates(self, *, grouped=False):
        of = self.rng.choice
        numbers = ("items", "price", "weight")
        choices = {
            "n": lambda: Count("pk"),
            "some": lambda: Count(of(COLUMNS), filter=Q(paid=True)),
            "total": lambda: Sum(of(numbers)),
            "filled": lambda: Sum("items", default=0, filter=Q(paid=False)),
            "least": lambda: Min(of((*numbers, "note", "day", "placed"))),
            "most": lambda: Max(of((*numbers, "note", "day", "placed"))),
            "mean": lambda: Avg(of(numbers)),
            "spread": lambda: of([StdDev, Variance])(of(numbers), sample=of([True, False])),
            "twice": lambda: Sum(F("items") * 2),
            "ids": lambda: Count("customer_id", distinct=True),
            "different": lambda: Count(of(("items", "note", "price")), distinct=True),
        }
        if grouped:
            del choices["different"]
        names = self.rng.sample(sorted(choices), self.rng.randint(1, 3))
        asked = {name: choices[name]() for name in names}
        self.text.append(f"{asked}")
        return asked

    def aggregates(self, rows):
        return rows.aggregate(**self.some_aggregates())

    def counts(self, rows):
        how = self.pick("count", "exists", "distinct")
        rows = rows.distinct() if how == "distinct" else rows
        return getattr(self.cut(rows), "exists" if how == "exists" else "count")()

    def single(self, rows):
        how = self.pick("first", "last", "earliest", "latest", "get")
        if how == "get":
            found = rows.order_by("id").first()
            return rows.distinct().get(pk=found.pk if found else 1).pk
        if how in {"first", "last"}:
            found = getattr(self.ordered(rows, ["id"]), how)()
            return found and found.pk
        field = self.pick("id", "placed", "price")
        found = getattr(rows.filter(**{f"{field}__isnull": False}), how)(
            field, *(["id"] if self.one else [])
        )
        return found.pk

    def calendar(self, rows):
        if self.rng.random() < 0.5:
            return list(
                rows.dates("day", self.pick("year", "month", "day"), self.pick("ASC", "DESC"))
            )
        return list(rows.datetimes("placed", self.pick("month", "hour"), self.pick("ASC", "DESC")))


def asked(question, rows, *, single):
    try:
        return question(rows, single=single)
    except rows.model.DoesNotExist:
        return "no such row"


def disagreements(questions, seed, kind=Question):
    """Ask questions; return those that the shards answer otherwise than one database, and the share refused."""
    from tests.db.shop.models import Order

    wrong, refused = [], []
    for number in range(questions):
        question = kind(random.Random(f"{seed}/{number}"))
        try:
            answer = asked(question, Order.objects.scatter(), single=False)
        except ScatterUnsupported as error:
            refused.append(f"{question.text}: {error}")
            continue
        expected = asked(question, Order.objects.using(ORACLE), single=True)
        if not same(answer, expected):
            wrong.append(f"seed {seed}/{number}: {question.text}\n  {answer}\n  {expected}")
    return wrong, refused


def same(one, other):
    """Compare as written, so that 1.0 is not 1.00; floats but for the order in which they were added."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(
            one, other, rel_tol=1e-9, abs_tol=1e-12
        )
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)
