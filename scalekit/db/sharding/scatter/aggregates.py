"""Aggregates of several shards: what each computes, and how the parts become the whole.

Averages and deviations are finished by the database itself, whose numeric division rounds in its own way.
Sums of floats depend on the order of addition, on one database as well: only there is the last digit open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Count, DecimalField, FloatField, Max, Min, StdDev, Sum, Variance
from django.db.models.expressions import Func

from scalekit.db.sharding.scatter.collations import sql
from scalekit.db.sharding.scatter.refusals import cannot_aggregate
from scalekit.db.sharding.scatter.sorting import Order, comparables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.db.sharding.scatter.judges import Judges

    Parts = Sequence[tuple[Any, ...]]  # of each shard, in the order of the partial aggregates

PRECISION = 2000  # digits: more than any sum of PostgreSQL's numeric has that fits a screen
SQLITE_DIGITS = 15  # to which Django reads SQLite's decimals, which are floats


@dataclass(frozen=True, slots=True)
class Merger:
    """The partial aggregates that each shard computes, and what makes a value of those of each group."""

    partials: tuple[Any, ...]
    merge: Callable[[Sequence[Parts]], list[Any]]


class Numeric(Func):
    """An expression as PostgreSQL's numeric, which does not overflow."""

    template = "(%(expressions)s)::numeric"
    output_field = DecimalField()


def merger_of(name: str, aggregate: Any, judges: Judges, order: Callable[[Any], Order]) -> Merger:
    """Return how to merge an aggregate. `judges` finish it. Raises `ScatterUnsupported`.

    `order` gives the order of values under an expression.
    """
    kind = type(aggregate)
    if kind not in MERGERS:
        why = f"a {kind.__name__} of the whole does not follow from those of the parts"
        raise cannot_aggregate(name, why, "Ask for it per shard with on_every_shard().")
    if aggregate.distinct:
        why = "two shards may count the same value"
        raise cannot_aggregate(
            name,
            why,
            "Leave out distinct=True, or group by the shard key, whose rows lie together.",
        )
    return MERGERS[kind](aggregate, judges, order)


def source_of(aggregate: Any) -> Any:
    """Return what is aggregated."""
    return aggregate.source_expressions[0]


def partial(kind: Any, aggregate: Any, source: Any = None) -> Any:
    """Return another aggregate of the same rows."""
    condition = getattr(aggregate.filter, "condition", aggregate.filter)
    return kind(source_of(aggregate) if source is None else source, filter=condition)


def whole(aggregate: Any) -> Merger:
    """Return how to merge counts of what no two shards have both."""
    return Merger((aggregate,), lambda groups: [_added_counts(parts, 0) for parts in groups])


def _added_counts(parts: Parts, place: int) -> int:
    return sum(part[place] or 0 for part in parts)


def _added(parts: Parts, place: int) -> Any:
    return total([part[place] for part in parts])


def total(values: Sequence[Any]) -> Any:
    """Return the sum of what is not NULL, exact for all but floats; None for nothing."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    if isinstance(present[0], float):
        return math.fsum(present) if all(map(math.isfinite, present)) else sum(present)
    with localcontext(Context(prec=PRECISION)):
        return sum(present[1:], start=present[0])


def _count(aggregate: Any, judges: Judges, order: Any) -> Merger:  # noqa: ARG001 - as all in MERGERS
    return whole(aggregate)


def _sum(aggregate: Any, judges: Judges, order: Any) -> Merger:  # noqa: ARG001 - as all in MERGERS
    return Merger((aggregate,), lambda groups: [_added(parts, 0) for parts in groups])


def _extreme(aggregate: Any, judges: Judges, order: Callable[[Any], Order]) -> Merger:  # noqa: ARG001 - as all in MERGERS
    choose = min if isinstance(aggregate, Min) else max

    def merge(groups: Sequence[Parts]) -> list[Any]:
        values = [[part[0] for part in parts if part[0] is not None] for parts in groups]
        if all(len(found) < 2 for found in values):  # noqa: PLR2004 - there is nothing to compare
            return [next(iter(found), None) for found in values]
        everything = list(chain.from_iterable(values))
        keys = iter(comparables(everything, order(source_of(aggregate))))
        ranked = [list(zip(islice(keys, len(found)), found, strict=True)) for found in values]
        return [choose(found, key=itemgetter(0))[1] if found else None for found in ranked]

    return Merger((aggregate,), merge)


def _avg(aggregate: Any, judges: Judges, order: Any) -> Merger:  # noqa: ARG001 - as all in MERGERS
    def merge(groups: Sequence[Parts]) -> list[Any]:
        sums = [(_added(parts, 0), _added_counts(parts, 1)) for parts in groups]
        return quotients(sums, aggregate, judges)

    return Merger((partial(Sum, aggregate), partial(Count, aggregate)), merge)


def quotients(sums: Sequence[tuple[Any, int]], aggregate: Any, judges: Judges) -> list[Any]:
    """Return averages from sums and counts, divided by the database that would have divided."""
    vendor, known = judges.vendor, [pair for pair in sums if pair[0] is not None]
    kinds = {type(added) for added, _ in known}
    if kinds <= {float}:
        divided = [added / count for added, count in known]
    elif vendor == "postgresql":
        kind = "interval" if timedelta in kinds else "numeric"
        columns = [list(column) for column in zip(*known, strict=True)]
        asked = judges.ask(sql("quotients.sql").replace("{kind}", kind), columns)
        divided = [row[0] for row in asked]
    elif vendor == "sqlite":
        divided = [_sqlite_quotient(added, count) for added, count in known]
    else:
        why = f"how {vendor} rounds a division is not known here"
        raise cannot_aggregate(aggregate.name, why, "Ask for the sum and the count.")
    if isinstance(aggregate.output_field, FloatField):
        divided = list(map(float, divided))
    values = iter(divided)
    return [None if added is None else next(values) for added, _ in sums]


def _sqlite_quotient(added: Any, count: int) -> Any:
    if isinstance(added, timedelta):  # whole microseconds, whose average Django reads as an integer
        return timedelta(microseconds=int((added / timedelta(microseconds=1)) / count))
    divided = float(added) / count
    if isinstance(added, Decimal):
        return Context(prec=SQLITE_DIGITS).create_decimal_from_float(divided)
    return divided


def _deviation(aggregate: Any, judges: Judges, order: Any) -> Merger:  # noqa: ARG001 - as all in MERGERS
    if judges.vendor != "postgresql":
        why = "Django computes it in Python there, from every value"
        raise cannot_aggregate(aggregate.name, why, "Read the values.")
    off = int(aggregate.function.endswith("SAMP"))
    if isinstance(source_of(aggregate).output_field, FloatField):
        third, variances = partial(Variance, aggregate), _float_variances
        number = source_of(aggregate)
    else:
        number = Numeric(source_of(aggregate))
        third, variances = partial(Sum, aggregate, number * number), _numeric_variances
    partials = partial(Count, aggregate), partial(Sum, aggregate, number), third

    def merge(groups: Sequence[Parts]) -> list[Any]:
        values = variances(groups, off, judges)
        if isinstance(aggregate, StdDev):
            values = [None if value is None else _root(value) for value in values]
        if isinstance(aggregate.output_field, FloatField):
            values = [None if value is None else float(value) for value in values]
        return values

    return Merger(partials, merge)


def _numeric_variances(groups: Sequence[Parts], off: int, judges: Judges) -> list[Any]:
    """Return them by the formula of `numeric_stddev_internal` in PostgreSQL's numeric.c."""
    known = [parts for parts in groups if _added_counts(parts, 0) > off]
    counts = [_added_counts(parts, 0) for parts in known]
    sums, squares = ([_added(parts, place) for parts in known] for place in (1, 2))
    given = {"n": counts, "x": sums, "x2": squares, "off": off}
    values = iter(judges.ask(sql("variances.sql"), given) if known else ())
    return [next(values)[0] if _added_counts(parts, 0) > off else None for parts in groups]


def _float_variances(groups: Sequence[Parts], off: int, judges: Judges) -> list[float | None]:  # noqa: ARG001 - as the other
    return [_float_variance(parts, off) for parts in groups]


def _float_variance(parts: Parts, off: int) -> float | None:
    """Return it by the formula of `float8_combine` in PostgreSQL's float.c (Youngs and Cramer, 1971)."""
    n = sx = sxx = 0.0
    for count, added, variance in parts:
        if not count:
            continue
        mine = variance * count
        if n:
            tmp = sx / n - added / count
            mine += sxx + n * count * tmp * tmp / (n + count)
        n, sx, sxx = n + count, sx + added, mine
    return None if n <= off else sxx / (n - off)


def _root(variance: Any) -> Any:
    """Return the square root with as many decimal places as the variance has, as `sqrt_var` does."""
    if isinstance(variance, float):
        return math.sqrt(variance)
    with localcontext(Context(prec=PRECISION)):
        places = Decimal(1).scaleb(variance.as_tuple().exponent)
        return variance.sqrt().quantize(places, rounding=ROUND_HALF_UP)


MERGERS: dict[Any, Callable[[Any, Judges, Callable[[Any], Order]], Merger]] = {
    Count: _count,
    Sum: _sum,
    Min: _extreme,
    Max: _extreme,
    Avg: _avg,
    StdDev: _deviation,
    Variance: _deviation,
}
