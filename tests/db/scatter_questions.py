"""Further questions for the oracle: joins, expressions, DISTINCT in another order, time zones, pages."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

from django.db import connections
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    FloatField,
    Max,
    Min,
    OuterRef,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import (
    Abs,
    Cast,
    Coalesce,
    Concat,
    ExtractHour,
    ExtractWeek,
    Lower,
    Round,
    Substr,
    TruncDate,
    TruncDay,
    TruncHour,
    TruncMonth,
    Upper,
)
from django.utils import timezone

from tests.db.scatter_oracle import ORACLE, Question

ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Europe/Helsinki")
JOINED = ("lines__amount", "lines__id", "lines__order__note", "lines", "note", "items", "id")
OF_LINES = (
    *("amount", "order__note", "order__items", "order__price", "order", "order__placed"),
    *("order__day", "customer_id", "order__customer_id", "order__weight", "order__paid"),
)


class FurtherQuestion(Question):
    def __init__(self, rng):
        super().__init__(rng)
        kinds = [self.rows, self.values, self.joined, self.joined, self.unordered_distinct]
        kinds += [self.joined_groups, self.joined_groups, self.aggregates, self.calendar]
        kinds += [self.several, self.slices, self.pages, self.on, self.bulk]
        self.ask = rng.choice([*kinds, self.lines, self.lines, self.groups_of_lines])

    def __call__(self, rows, *, single):
        from tests.db.shop.models import Line, Order

        self.rng, self.text, self.one = random.Random(self.seed), [], single
        with timezone.override(self.pick(*ZONES)):
            if self.ask in {self.lines, self.groups_of_lines}:
                return self.ask(self.all_of(Line))
            if self.ask in {self.pages, self.on}:
                return self.ask(self.all_of(Order))
            return self.ask(self.prepared(rows))

    def all_of(self, model):
        return model.objects.using(ORACLE) if self.one else model.objects.scatter()

    def tied(self, *names):
        """Return what decides between ties, where one database is asked."""
        return names if self.one else ()

    def condition(self):
        number, plain = self.rng.randint(-2, 3), super().condition
        return self.rng.choice(
            [
                *(plain() for _ in range(4)),
                Q(lines__isnull=number > 0),
                ~Q(lines__amount=number),
                Q(lines__amount__gt=F("items")),
                Q(items__isnull=True) | Q(lines__amount=number),
                Q(placed__hour=number % 24),
                Q(placed__date=date(2025, 2, 1)),
                Q(customer_id=3),  # one shard
                Q(pk__in=[]),
                Q(note__in=["a", "ß", "Z"]),
                Q(price__lt=F("weight")),
            ]
        )

    def extras(self):
        from tests.db.shop.models import Line

        return [
            *super().extras(),
            Coalesce("price", Value(Decimal("0.10"))),
            F("price") / 3,
            F("placed") - F("placed"),
            Case(When(items__gt=0, then=Value("pos")), default=Value("neg")),
            Case(When(paid=True, then="items")),
            Concat("note", Value("-"), "note"),
            Cast("price", FloatField()),
            TruncDay("placed"),
            TruncDate("placed"),
            TruncHour("placed"),
            ExtractWeek("day"),
            Count("lines", distinct=True),
            Avg("lines__amount"),
            Exists(Line.objects.filter(order=OuterRef("pk"))),
            Q(items__gt=1),
            Abs("items"),
            Round("price"),
            Value(3),
            Substr("note", 1, 1),
        ]

    def order(self, names=None):
        chosen = super().order(names)
        if names is None and self.rng.random() < 0.4:
            more = ["lines__amount", "-lines__amount", "lines", "pk", "-id", "lines__order__note"]
            more += [F("items") + F("customer_id"), Upper("note").asc(), F("pk").desc()]
            more += [Coalesce("price", Value(Decimal(1))).desc()]
            chosen.insert(self.rng.randint(0, len(chosen)), self.pick(*more))
        return chosen

    def joined(self, rows):
        names = self.rng.sample(JOINED, self.rng.randint(1, 3))
        self.text.append(f"values {names}")
        return list(self.cut(rows.order_by(*self.order(), "id", "lines__id").values_list(*names)))

    def unordered_distinct(self, rows):
        """DISTINCT of other columns than those in the order, which are told apart as well."""
        of = [name for name in self.sortable if name not in {"id", "token"}]
        names = self.rng.sample(of, self.rng.randint(1, 2))
        how = self.pick("list", "len", "count", "count of a slice")
        rows = rows.values_list(*names).distinct().order_by(*self.order())
        if how == "count":
            return rows.count()
        if how == "count of a slice":
            return self.cut(rows).count()
        rows = self.cut(rows.order_by(*rows.query.order_by, *self.tied(*names)))
        return len(rows) if how == "len" else list(rows)

    def on(self, rows):
        if connections[ORACLE].vendor != "postgresql":
            return None
        names = self.rng.sample(["items", "day", "paid", "customer_id", "price", "note"], 2)
        self.text.append(f"distinct on {names}")
        rows = rows.order_by(*names, *self.order(["placed", "weight", "id"]), *self.tied("id"))
        rows = rows.distinct(*names)
        if self.pick("list", "count") == "count":
            return self.cut(rows).count()
        return list(self.cut(rows.values_list("id", "note")))

    def joined_groups(self, rows):
        by = ["paid", "items", "day", "note", "lines", "lines__amount", "lines__customer_id"]
        if self.rng.random() < 0.4:
            rows = rows.annotate(made=self.pick(*self.made_of_columns()))
            by += ["made", "made"]
        by = list(dict.fromkeys(self.rng.sample(by, self.rng.randint(1, 2))))
        asked = self.some_aggregates(grouped=True)
        self.text.append(f"group by {by}")
        rows = rows.values_list(*by).annotate(**asked)
        rows = rows.order_by(*self.order([*by, *asked]), *self.tied(*by))
        return self.cut(rows).count() if self.rng.random() < 0.2 else list(self.cut(rows))

    def made_of_columns(self):
        return [
            Lower("note"),
            TruncMonth("placed"),
            TruncDay("placed"),
            F("items") + 1,
            Case(When(paid=True, then=Value("p")), default=Value("n")),
            ExtractHour("placed"),
        ]

    def some_aggregates(self, *, grouped=False):
        asked = super().some_aggregates(grouped=grouped)
        more = {
            "over": Sum("lines__amount", filter=Q(lines__amount__gt=1)),
            "beside": Count("lines", filter=Q(lines__order__items__gt=0)),
            "priced": Sum("price", default=Decimal("0.5")),
            "average": Avg("price", default=Decimal("1.5")),
            "last": Max("day", default=date(2020, 1, 1)),
            "product": Avg(F("price") * F("items")),
            "low": Max(Lower("note")),
            "joined": Min("lines__order__note"),
            "cases": Sum(Case(When(paid=True, then=1), default=0)),
            "star": Count("*"),
            "one": Sum(Value(1)),
            "paid_last": Max("placed", filter=Q(paid=True)),
        }
        name = self.pick(*more)
        return {**asked, name: more[name]}

    def aggregates(self, rows):
        rows = rows.distinct() if self.rng.random() < 0.3 else rows
        return rows.order_by(*self.order()).aggregate(**self.some_aggregates())

    def several(self, rows):
        how = self.pick("earliest", "latest")
        fields = self.rng.sample(["items", "-placed", "price", "-note"], 2)
        self.text.append(f"{fields}")
        return getattr(rows, how)(*fields, *self.tied("id")).pk

    def slices(self, rows):
        rows = rows.order_by(*self.order(), *self.tied("id"))
        first, second = self.rng.choice([0, 2, 10]), self.rng.choice([0, 1, 5])
        part = rows[first : first + self.rng.randint(0, 40)]
        part = part[second : second + self.rng.randint(0, 20)]
        how = self.pick("list", "count", "len", "iterator", "bool")
        if how == "count":
            return part.count()
        if how in {"len", "bool"}:
            return len(part) if how == "len" else bool(part)
        return [row.pk for row in (part.iterator(chunk_size=3) if how == "iterator" else part)]

    def pages(self, rows):
        names = self.rng.sample(["items", "-price", "note", "-day", "-id"], 2)
        self.text.append(f"{names}")
        rows, place = rows.order_by(*names, *self.tied("id")), self.rng.randint(0, 30)
        if self.one:
            return [row.pk for row in rows][place + 1 :]
        row = list(rows[: place + 1])[-1]
        after = row if self.rng.random() < 0.5 else rows.cursor(row)
        return [found.pk for found in rows.after(after)]

    def bulk(self, rows):
        from tests.db.shop.models import Order

        ids = sorted(Order.objects.using(ORACLE).values_list("id", flat=True))
        found = rows.in_bulk(self.rng.sample(ids, 10))
        return [(pk, found[pk].note) for pk in sorted(found)]

    def lines(self, rows):
        for _ in range(self.rng.randint(0, 2)):
            rows = rows.filter(
                self.pick(
                    Q(order__items__gt=0),
                    Q(order__note__gte="b"),
                    Q(order__customer_id=4),
                    Q(order__lines__amount=1),
                    ~Q(order__lines__amount=3),
                )
            )
        names = self.rng.sample(OF_LINES, self.rng.randint(0, 3))
        ordered = [self.rng.choice(["", "-"]) + name for name in names]
        self.text.append(f"{ordered}")
        rows, two = rows.order_by(*ordered, *self.tied("id")), self.rng.sample(OF_LINES, 2)
        how = self.pick("related", "only", "values", "distinct", "aggregate")
        if how == "aggregate":
            return rows.aggregate(
                Sum("amount"),
                Avg("order__price"),
                Count("order", distinct=True),
                Max("order__note"),
                Count("order__items", distinct=True),
            )
        if how == "distinct":
            rows = rows.order_by(*ordered, *self.tied(*two)).values_list(*two).distinct()
            return list(self.cut(rows))
        if how == "values":
            return list(self.cut(rows.values_list(*two)))
        rows = rows.select_related("order")
        rows = rows.only("amount", "order__note") if how == "only" else rows
        return [(line.pk, line.order.note) for line in self.cut(rows)]

    def groups_of_lines(self, rows):
        by = self.rng.sample(OF_LINES, self.rng.randint(1, 2))
        asked = {
            "n": Count("pk"),
            "total": Sum("order__items"),
            "most": Max("order__note"),
            "orders": Count("order", distinct=True),
            "mean": Avg("order__price"),
        }
        asked = {name: asked[name] for name in self.rng.sample(sorted(asked), 2)}
        self.text.append(f"group by {by} {asked}")
        rows = rows.values(*by).annotate(**asked)
        return list(self.cut(rows.order_by(*self.order([*by, *asked]), *self.tied(*by))))
