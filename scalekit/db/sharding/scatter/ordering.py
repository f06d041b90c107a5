"""What a query sorts by, column for column, as its shards are asked and as their answers are merged."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import OrderBy
from django.db.models.functions import Random

from scalekit.db.sharding.scatter.refusals import cannot_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model
    from django.db.models.sql.query import Query


@dataclass(frozen=True, slots=True)
class Sort:
    """One column of an ORDER BY; `nulls_first` is None where the database's own way is meant."""

    expression: Any
    descending: bool = False
    nulls_first: bool | None = None

    @property
    def name(self) -> str:
        """The name that was given; empty for an expression."""
        return str(self.expression.name) if type(self.expression) is F else ""  # type: ignore[attr-defined]  # not in the stubs

    def reversed(self) -> Sort:
        nulls = None if self.nulls_first is None else not self.nulls_first
        return Sort(self.expression, not self.descending, nulls)

    def order_by(self, expression: Any = None) -> OrderBy:
        """Return what Django sorts by; by another name for the same column, if one is given."""
        return OrderBy(
            self.expression if expression is None else expression,
            descending=self.descending,
            nulls_first=True if self.nulls_first else None,
            nulls_last=True if self.nulls_first is False else None,
        )


def sorts_of(query: Query) -> tuple[Sort, ...]:
    """Return the order a query asks for. Raises `ScatterUnsupported` for one that cannot be merged."""
    model: Any = query.model
    if query.extra_order_by:
        raise cannot_order(model, "extra(order_by=...)", "order by columns or expressions")
    names = query.order_by
    if not names and query.default_ordering and not query.group_by:
        names = model._meta.ordering
    found = [sort for item in names for sort in _sorts(query, model, item)]
    return tuple(found if query.standard_ordering else [sort.reversed() for sort in found])


def sorts_of_id(model: type[Model]) -> tuple[Sort, ...]:
    """Return the order by primary key, which decides between rows that are otherwise equal."""
    return tuple(Sort(F(field.attname)) for field in model._meta.pk_fields)


def with_ties(own: Iterable[Sort], ties: Iterable[Sort], model: type[Model]) -> tuple[Sort, ...]:
    """Return an order in which `ties` decide what is left open, without what stands there twice.

    What follows the primary key decides nothing, but it may join, and then there are more rows.
    """
    kept: dict[Any, Sort] = {}
    for sort in own:
        kept.setdefault(sort.name or id(sort), sort)
    fields = model._meta.pk_fields
    if len(fields) > 1 or not {"pk", fields[0].attname} & set(kept):
        for sort in ties:
            kept.setdefault(sort.name or id(sort), sort)
    return tuple(kept.values())


def _sorts(query: Query, model: type[Model], item: Any) -> Iterator[Sort]:
    if isinstance(item, str):
        bare, descending = item.lstrip("-+"), item.startswith("-")
        if bare == "?":
            raise cannot_order(model, item, "each shard would shuffle its own rows")
        if bare in query.annotations:
            yield Sort(F(bare), descending)
        elif bare in query.extra:
            raise cannot_order(model, item, "order by an annotation in place of extra()")
        else:
            yield from _by_path(model, bare, descending=descending)
        return
    order = item if isinstance(item, OrderBy) else item.asc()
    if isinstance(order.expression, Random):
        raise cannot_order(model, item, "each shard would shuffle its own rows")
    nulls = True if order.nulls_first else False if order.nulls_last else None
    yield Sort(order.expression, order.descending, nulls)


def _by_path(model: type[Model], path: str, *, descending: bool, depth: int = 0) -> Iterator[Sort]:
    """Follow a name to its column; that of a relation means the order of the model it leads to."""
    found, rest = _last_field(model, path)
    if path == "pk" or path.endswith(f"{LOOKUP_SEP}pk"):
        yield from (replace(sort, descending=descending) for sort in _by_id(model, path, found))
        return
    ordering = found.related_model._meta.ordering if found.is_relation and not rest else ()
    is_column = path.rpartition(LOOKUP_SEP)[2] == getattr(found, "attname", None)
    if not ordering or is_column:
        yield Sort(F(path), descending)
        return
    for item in ordering:
        if not isinstance(item, str) or depth:
            raise cannot_order(model, path, f"its own order is {ordering!r}; write the columns")
        flipped = descending != item.startswith("-")
        inner = f"{path}{LOOKUP_SEP}{item.lstrip('-+')}"
        yield from _by_path(model, inner, descending=flipped, depth=depth + 1)


def _by_id(model: type[Model], path: str, pk: Any) -> Iterator[Sort]:
    prefix = path.removesuffix("pk")
    for sort in sorts_of_id(pk.model if prefix else model):
        yield Sort(F(prefix + sort.name))


def _last_field(model: type[Model], path: str) -> tuple[Any, bool]:
    """Return the last field on a path, and whether transforms follow it."""
    options: Any = model._meta
    field: Any = None
    for part in path.split(LOOKUP_SEP):
        try:
            field = options.pk if part == "pk" else options.get_field(part)
        except FieldDoesNotExist:
            return field, True
        if field.is_relation:
            options = field.related_model._meta
    return field, False
