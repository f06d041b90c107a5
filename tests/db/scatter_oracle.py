"""Random querysets, asked of shards and of one database that holds the same rows."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet

ORACLE = "oracle"
NULLABLE = ("items", "price", "weight", "day", "placed", "token")
COLUMNS = ("id", "customer_id", "paid", *NULLABLE)


def random_order(model, rng):
    """Return a row with many ties and many NULLs."""

    def maybe(value):
        return None if rng.random() < 0.3 else value

    return model(
        customer_id=rng.randint(1, 25),
        note=f"{rng.random():.12f}",
        items=maybe(rng.randint(-2, 2)),
        price=maybe(Decimal(rng.randint(-200, 200)) / 100),
        weight=maybe(rng.choice([float("nan"), 0.5, -1.25, 3.0])),
        day=maybe(date(2025, 1, 1) + timedelta(days=rng.randint(0, 3))),
        placed=maybe(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 3))),
        paid=rng.random() < 0.5,
        token=maybe(UUID(int=rng.getrandbits(128))),
    )


def fill(model, rows, seed):
    """Store the same rows on the shards and on the oracle."""
    rng = random.Random(seed)
    orders = model.objects.bulk_create([random_order(model, rng) for _ in range(rows)])
    with connections[ORACLE].schema_editor() as editor:
        editor.create_model(model)
    QuerySet(model, using=ORACLE).bulk_create([_copy(model, order) for order in orders])


def _copy(model, order):
    names = [field.attname for field in model._meta.concrete_fields]
    return model(**{name: getattr(order, name) for name in names})


def random_question(rng, columns=COLUMNS):
    """Return a function of a queryset: filters, an order, a slice, and what is asked of it."""
    conditions = [_condition(rng) for _ in range(rng.randint(0, 2))]
    order = [rng.choice(["", "-"]) + name for name in rng.sample(columns, rng.randint(0, 3))]
    start = rng.choice([0, 0, 3, 40, 500])
    cut = rng.choice([None, slice(start, start + rng.randint(0, 30)), slice(start, None)])
    chosen = rng.choice([None, None, rng.sample(columns, 2)])
    ask = rng.choice(["rows", "rows", "rows", "count", "exists", "first"])

    def question(rows, *, single):
        for exclude, condition in conditions:
            rows = rows.exclude(condition) if exclude else rows.filter(condition)
        # One database may return ties in any order; scatter promises that of the id.
        rows = rows.order_by(*order, "id") if single else rows.order_by(*order)
        if chosen:
            rows = rows.values_list(*chosen)
        if ask == "first":
            return repr(rows.first())
        if cut is not None:
            rows = rows[cut]
        return {"rows": lambda: repr(list(rows)), "count": rows.count, "exists": rows.exists}[ask]()

    question.text = f"{conditions} order={order} cut={cut} columns={chosen} {ask}"
    return question


def _condition(rng):
    condition = rng.choice(
        [
            Q(items__gte=rng.randint(-2, 2)),
            Q(paid=rng.random() < 0.5),
            Q(price__isnull=rng.random() < 0.5),
            Q(customer_id=rng.randint(1, 25)),
            Q(customer_id__in=rng.sample(range(1, 26), 4)),
            Q(items=1) | Q(customer_id__lt=9),
            Q(day__gt=date(2025, 1, 2)),
        ]
    )
    return rng.random() < 0.3, condition


def disagreements(model, questions, seed, columns=COLUMNS):
    """Return the questions that the shards answer otherwise than one database."""
    rng = random.Random(seed)
    wrong = []
    for _ in range(questions):
        question = random_question(rng, columns)
        expected = question(model.objects.using(ORACLE), single=True)
        answer = question(model.objects.scatter(), single=False)
        if answer != expected:
            wrong.append((question.text, answer, expected))
    return wrong
