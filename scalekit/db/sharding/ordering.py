"""An order that a database and Python agree on, or a refusal."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models

from scalekit.db.exceptions import ScatterUnsupported

if TYPE_CHECKING:
    from django.db.models.expressions import OrderBy

    from scalekit.db.sharding.queryset import ShardedQuerySet

# Text is not among them: its order is the collation's, which Python does not know.
EXACT = (
    models.IntegerField,
    models.BooleanField,
    models.DateField,
    models.TimeField,
    models.DecimalField,
    models.FloatField,
    models.DurationField,
    models.UUIDField,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an ORDER BY."""

    attribute: str
    descending: bool

    @property
    def expression(self) -> OrderBy:
        """Order as PostgreSQL does by default, NULL above every value, on every database."""
        column = models.F(self.attribute)
        if self.descending:
            return column.desc(nulls_first=True)
        return column.asc(nulls_last=True)


@dataclass(frozen=True, slots=True)
class Ordering:
    """The columns of an ORDER BY that ends with the id, so that no two rows are equal."""

    columns: tuple[Column, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(column.attribute for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple("-" * column.descending + column.attribute for column in self.columns)

    @property
    def expressions(self) -> tuple[OrderBy, ...]:
        return tuple(column.expression for column in self.columns)

    def reversed(self) -> Ordering:
        return Ordering(tuple(Column(c.attribute, not c.descending) for c in self.columns))

    def key_of_row(self, row: Any) -> tuple[Any, ...]:
        return self.key([getattr(row, column.attribute) for column in self.columns])

    def key(self, values: Any) -> tuple[Any, ...]:
        """Return what Python sorts by to get the same order."""
        return tuple(
            _Descending(_rank(value)) if column.descending else _rank(value)
            for column, value in zip(self.columns, values, strict=True)
        )


def _rank(value: Any) -> tuple[int, Any]:
    """Put NULL above everything and NaN above every number, as PostgreSQL does."""
    if value is None:
        return 2, 0
    if isinstance(value, float) and math.isnan(value):
        return 1, 0
    return 0, value


class _Descending:
    __slots__ = ("rank",)

    def __init__(self, rank: tuple[int, Any]) -> None:
        self.rank = rank

    def __lt__(self, other: _Descending) -> bool:
        return other.rank < self.rank

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and other.rank == self.rank

    __hash__ = None  # type: ignore[assignment]  # a sort key, never a dict key


def ordering_of(rows: ShardedQuerySet[Any]) -> Ordering:
    """Return the order a queryset asks for. Raises `ScatterUnsupported` if it cannot be exact."""
    model, query = rows.model, rows.query
    if query.extra_order_by:
        raise _refused(model, "extra(order_by=...)", "order by columns")
    names = query.order_by or (model._meta.ordering if query.default_ordering else ())
    columns = [_column(model, name) for name in names]
    if not query.standard_ordering:
        columns = [Column(c.attribute, not c.descending) for c in columns]
    pk = model._meta.pk.attname
    if pk not in {column.attribute for column in columns}:
        columns.append(_column(model, pk))
    return Ordering(tuple(columns))


def _column(model: type[models.Model], name: Any) -> Column:
    if not isinstance(name, str):
        raise _refused(model, name, "order by the name of a column")
    bare = name.lstrip("-+")
    if bare == "?" or "__" in bare:
        raise _refused(model, name, "order by a column of the model itself")
    field = model._meta.pk if bare == "pk" else model._meta.get_field(bare)
    if field.is_relation and bare != field.attname:  # type: ignore[union-attr]
        raise _refused(model, name, f"order by {bare}_id")
    _require_exact(model, field, name)
    return Column(field.attname, name.startswith("-"))  # type: ignore[union-attr]


def _require_exact(model: type[models.Model], field: Any, name: str) -> None:
    while field.remote_field is not None:
        field = field.target_field
    if not isinstance(field, EXACT):
        kind = type(field).__name__
        raise _refused(
            model, name, f"a {kind} is ordered by the database's collation, unknown to Python"
        )


def _refused(model: type[models.Model], name: Any, why: str) -> ScatterUnsupported:
    return ScatterUnsupported(f"scatter() cannot order {model.__name__} by {name!r}: {why}.")
