"""`aggregate()` over shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Case, Count, Sum, When

from scalekit.db.sharding.scatter import reading
from scalekit.db.sharding.scatter.aggregates import (
    merger_of,
    quotients,
    source_of,
    total,
    whole,
)
from scalekit.db.sharding.scatter.comparing import order_of
from scalekit.db.sharding.scatter.grouping import aggregate_of, counts_apart, is_grouped
from scalekit.db.sharding.scatter.ordering import Sort
from scalekit.db.sharding.scatter.refusals import cannot_aggregate, cannot_do

if TYPE_CHECKING:
    from scalekit.db.sharding.scatter.aggregates import Merger
    from scalekit.db.sharding.scatter.judges import Judges
    from scalekit.db.sharding.scatter.sorting import Order


def aggregated(rows: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the aggregates of all rows, by name."""
    asked = {**{argument.default_alias: argument for argument in args}, **kwargs}
    _refuse_what_is_no_set_of_rows(rows)
    servers = reading.servers_of(rows, "aggregate")
    judges = reading.judges_of(servers, rows)
    bare = {name: _resolved(rows, name, expression) for name, expression in asked.items()}
    values = {}
    mergers: dict[str, Merger] = {}
    for name, (aggregate, resolved, _) in bare.items():
        if resolved.distinct and not counts_apart(resolved, rows.group):
            values[name] = _of_distinct(rows, name, aggregate, resolved, judges)
        else:
            mergers[name] = _merger(rows, name, aggregate, resolved, judges)
    values |= _merged(rows, servers, mergers, judges)
    defaults = {name: default for name, (_, _, default) in bare.items()}
    return {n: defaults[n] if values[n] is None else values[n] for n in asked}


def _refuse_what_is_no_set_of_rows(rows: Any) -> None:
    if rows.query.is_sliced:
        why = "each shard would aggregate a slice of its own"
        raise cannot_do(rows.model, "aggregate() of a slice", why, "aggregate in Python, or filter")
    if is_grouped(rows):
        why = "groups have parts on several shards"
        raise cannot_do(rows.model, "aggregate() of groups", why, "aggregate the groups in Python")
    if rows.query.distinct and (rows._fields is not None or rows.query.distinct_fields):
        why = "two shards may have the same values"
        raise cannot_do(rows.model, "aggregate() of distinct values", why, "use distinct=True")


def _resolved(rows: Any, name: str, expression: Any) -> tuple[Any, Any, Any]:
    """Return an aggregate as it was written and as the query understands it, and its default."""
    default = getattr(expression, "default", None)
    written = expression
    if default is not None:
        written = expression.copy()
        written.default = None
    query = rows.query.chain()
    resolved = written.resolve_expression(query, allow_joins=True, reuse=None, summarize=True)
    aggregate, _ = aggregate_of(name, resolved)
    if hasattr(default, "resolve_expression"):
        default = getattr(default, "value", None)
        if default is None:
            raise cannot_aggregate(name, "its default is no plain value", "Set it in Python.")
    return written, aggregate, aggregate.output_field.to_python(default)


def _merger(rows: Any, name: str, written: Any, resolved: Any, judges: Judges) -> Merger:
    if type(resolved) is Count:
        return whole(written)

    def order(expression: Any) -> Order:
        part = rows.on_one_shard()
        source = source_of(written).resolve_expression(part.query, allow_joins=True)
        return order_of(part, Sort(expression), source, judges)

    return merger_of(name, _typed(written, resolved), judges, order)


def _typed(written: Any, resolved: Any) -> Any:
    """Return the aggregate as it was written, which knows of what type it and its source are."""
    copy = written.copy()
    copy.output_field = resolved.output_field
    source = source_of(written).copy()
    source.output_field = source_of(resolved).output_field
    copy.source_expressions = [source, *copy.source_expressions[1:]]
    return copy


def _merged(
    rows: Any, servers: list[str], mergers: dict[str, Merger], judges: Judges
) -> dict[str, Any]:
    if not mergers:
        return {}
    asked = {
        f"_scatter_{name}_{place}": expression
        for name, merger in mergers.items()
        for place, expression in enumerate(merger.partials)
    }
    part = rows.on_one_shard()
    answers = reading.gathered(rows, servers, lambda alias: part.using(alias).aggregate(**asked))
    judges.narrow(answers)
    found = {}
    for name, merger in mergers.items():
        columns = [f"_scatter_{name}_{place}" for place in range(len(merger.partials))]
        parts = [tuple(answer[column] for column in columns) for answer in answers.values()]
        found[name] = merger.merge([parts])[0]
    return found


def _of_distinct(rows: Any, name: str, written: Any, resolved: Any, judges: Judges) -> Any:
    """Aggregate what all shards together have of distinct values."""
    kind = type(resolved)
    if kind not in {Count, Sum, Avg}:
        why = f"a {kind.__name__} of distinct values has no parts"
        raise cannot_aggregate(name, why, "Read the values.")
    source = source_of(written)
    condition = getattr(written.filter, "condition", written.filter)
    if condition is not None:
        source = Case(When(condition, then=source))
    values = rows.order_by().annotate(_scatter_value=source)
    distinct = values.values_list("_scatter_value", flat=True).distinct()
    found = [value for value in distinct if value is not None]
    rows.failed = distinct.failed
    if kind is Count:
        return len(found)
    if kind is Sum:
        return total(found)
    return quotients([(total(found), len(found))], resolved, judges)[0]
