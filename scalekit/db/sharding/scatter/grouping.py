"""GROUP BY over shards: each aggregates its own rows, and the parts of a group are aggregated again."""
# ruff: noqa: SLF001 - querysets of ours

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F
from django.db.models.aggregates import Aggregate
from django.db.models.expressions import Col, Ref
from django.db.models.functions import Coalesce
from django.db.models.query import ValuesListIterable
from django.db.models.sql.constants import LOUTER

from scalekit.db.sharding.declarations import declaration_of, declared_group, pointed_at
from scalekit.db.sharding.scatter import shapes
from scalekit.db.sharding.scatter.aggregates import Merger, merger_of, source_of, whole
from scalekit.db.sharding.scatter.comparing import order_of, require_comparable
from scalekit.db.sharding.scatter.ordering import Sort, sorts_of
from scalekit.db.sharding.scatter.refusals import cannot_aggregate, cannot_do, cannot_order
from scalekit.db.sharding.scatter.sorting import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalekit.db.sharding.scatter.judges import Judges
    from scalekit.db.sharding.scatter.sorting import Order

NAN = object()  # one for all, since NaN equals nothing


def is_grouped(rows: Any) -> bool:
    """Return whether several rows become one, as after ``values(...).annotate(Count(...))``."""
    return isinstance(rows.query.group_by, (tuple, list))


def keys_of(rows: Any) -> list[Any]:
    """Return the expressions that rows are grouped by: what is selected beside aggregates, as it stands there, first."""
    query = rows.query
    by_name = {**dict(zip(query.values_select, query.select, strict=False)), **query.annotations}
    selected = [by_name[name] for name in shapes.names_of(rows) or () if name in by_name]
    selected += [*query.select, *query.annotation_select.values()]
    plain: list[Any] = [key for key in selected if not key.contains_aggregate]
    return list(dict.fromkeys(_meant(key) for key in (*plain, *query.group_by)))


def _meant(key: Any) -> Any:
    return key.source if isinstance(key, Ref) else key  # type: ignore[attr-defined]  # not in the stubs


def lie_together(rows: Any) -> bool:
    """Return whether all rows of a group of rows are on one shard, since one of the keys says which."""
    return any(
        isinstance(key, Col)
        and names_shard(key.target, rows.group)
        and not _may_be_null(rows.query, key)
        for key in keys_of(rows)
    )


def _may_be_null(query: Any, column: Any) -> bool:
    """Return whether a column is NULL in some rows, which lie on any shard."""
    return bool(column.target.null or query.alias_map[column.alias].join_type == LOUTER)


def names_shard(field: Any, group: str) -> bool:
    """Return whether rows with equal values in a column lie on the same shard."""
    declaration = declaration_of(field.model)
    if declaration.group != group:
        return False
    if field == declaration.own_key or field in declaration.ids or field.primary_key:
        return True
    target = pointed_at(field)
    return target is not field and target.primary_key and declared_group(target.model) == group


def counts_apart(aggregate: Any, group: str) -> bool:
    """Return whether no two shards have a value in common, so that counts of distinct ones add up."""
    source = source_of(aggregate)
    is_count = type(aggregate) is Count and isinstance(source, Col)
    return is_count and names_shard(source.target, group)


@dataclass(frozen=True, slots=True)
class Column:
    """A value of a merged group: the key at a place, or an aggregate."""

    key: int | None = None
    aggregate: Any = None
    default: Any = None


class Grouping:
    """What each shard is asked for groups of rows, and how these are merged."""

    def __init__(self, rows: Any, part: Any, judges: Judges) -> None:
        self.rows, self.part, self.group, self.judges = rows, part, rows.group, judges
        if part.query.where.contains_aggregate:
            why = "a group may meet the condition as a whole and in none of its parts"
            raise cannot_do(
                rows.model, "filter by an aggregate", why, "filter the groups in Python"
            )
        if part.query.distinct:
            why = "the groups would have to be compared once more"
            raise cannot_do(rows.model, "distinct() of groups", why, "leave it out")
        self.names = shapes.names_of(rows) or []
        self.keys = keys_of(rows)
        self.sorts = sorts_of(part.query)
        self.columns = {name: self._column(name) for name in self.names}
        self.columns |= {s.name: self._column_of_sort(s) for s in self.sorts}
        self.start, self.stop = part.query.low_mark, part.query.high_mark
        self.mergers: dict[str, Merger] = {}

    def prepare(self) -> None:
        """Make of the part what a shard is asked: the keys, then the partial aggregates."""
        query = self.part.query
        query.clear_ordering(force=True)
        query.clear_limits()
        for name, column in self.columns.items():
            if column.aggregate is not None:
                self.mergers[name] = self._merger(name, column.aggregate)
        query.clear_select_clause()
        query.group_by = tuple(self.keys)
        partials = [p for merger in self.mergers.values() for p in merger.partials]
        for place, expression in enumerate([*self.keys, *partials]):
            query.add_annotation(expression, f"_scatter_{place}")
        self.part._iterable_class = ValuesListIterable

    def merged(self, found: Mapping[str, Sequence[tuple[Any, ...]]]) -> list[Any]:
        """Return the groups, sorted, sliced and in the shape that was asked for."""
        ties = [require_comparable(self.part, Sort(key), key, self.judges) for key in self.keys]
        width = len(self.keys)
        parts: dict[Any, list[tuple[Any, ...]]] = {}
        for rows in found.values():
            for row in rows:
                same = tuple(NAN if v != v else v for v in row[:width])  # noqa: PLR0124 - NaN
                parts.setdefault(same, []).append(row)
        groups = list(parts.values())
        values = self._values(groups)
        places = self._sorted(values, groups, ties)[self.start : self.stop]
        tuples = [tuple(values[name][place] for name in self.names) for place in places]
        return shapes.shape_of(self.rows, self.names)(tuples)

    def _values(self, groups: Sequence[list[tuple[Any, ...]]]) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}
        place = len(self.keys)
        for name, merger in self.mergers.items():
            end = place + len(merger.partials)
            merged = merger.merge([[row[place:end] for row in rows] for rows in groups])
            default = self.columns[name].default
            values[name] = [default if value is None else value for value in merged]
            place = end
        for name, column in self.columns.items():
            if column.key is not None:
                values[name] = [rows[0][column.key] for rows in groups]
        return values

    def _sorted(
        self, values: Mapping[str, list[Any]], groups: Sequence[Any], ties: Sequence[Order]
    ) -> Sequence[int]:
        if not groups:
            return ()
        orders = [self._order_of_sort(sort) for sort in self.sorts]
        columns = [values[sort.name] for sort in self.sorts]
        columns += [[rows[0][place] for rows in groups] for place in range(len(ties))]
        return in_order(columns, [*orders, *ties])

    def _order_of_sort(self, sort: Sort) -> Order:
        column = self.columns[sort.name]
        expression = column.aggregate if column.key is None else self.keys[column.key]
        return order_of(self.part, sort, expression, self.judges)

    def _order(self, expression: Any) -> Order:
        return order_of(self.part, Sort(expression), expression, self.judges)

    def _merger(self, name: str, aggregate: Any) -> Merger:
        if aggregate.distinct and counts_apart(aggregate, self.group):
            return whole(aggregate)
        return merger_of(name, aggregate, self.judges, self._order)

    def _column_of_sort(self, sort: Sort) -> Column:
        if not sort.name:
            raise cannot_order(self.rows.model, sort.expression, "order groups by their values")
        return self._column(sort.name)

    def _column(self, name: str) -> Column:
        query = self.part.query
        expression = query.annotations.get(name)
        if expression is None:
            expression = dict(zip(query.values_select, query.select, strict=False)).get(name)
        if expression is None:
            expression = F(name).resolve_expression(query.clone())
        if expression in self.keys:
            return Column(key=self.keys.index(expression))
        return Column(None, *aggregate_of(name, expression))


def aggregate_of(name: str, expression: Any) -> tuple[Any, Any]:
    """Return an aggregate, and the value it has for nothing. Raises `ScatterUnsupported` for anything else."""
    default = None
    if type(expression) is Coalesce and len(expression.source_expressions) == 2:  # noqa: PLR2004 - as default= makes it
        expression, value = expression.source_expressions
        if not hasattr(value, "value"):
            raise cannot_aggregate(name, "its default is no plain value", "Set it in Python.")
        default = expression.output_field.to_python(value.value)
    if not isinstance(expression, Aggregate):
        why = "it is made of several values of a group, or of none that the group has"
        raise cannot_aggregate(name, why, "Ask for each aggregate by itself and compute in Python.")
    return expression, default
