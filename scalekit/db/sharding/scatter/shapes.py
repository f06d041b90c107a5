"""The rows of an answer as they were asked for: instances, dicts, tuples, named tuples or single values."""
# ruff: noqa: SLF001 - querysets of ours

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
)
from django.db.models.utils import create_namedtuple_class

from scalekit.db.sharding.scatter.refusals import cannot_do

if TYPE_CHECKING:
    from collections.abc import Callable

    Shape = Callable[[list[Any]], list[Any]]


def names_of(rows: Any) -> list[str] | None:
    """Return the names of a row's values, in order; None if rows are instances."""
    if issubclass(rows._iterable_class, ModelIterable):
        return None
    query = rows.query
    if query.selected:
        return list(query.selected)
    return [*query.extra_select, *query.values_select, *query.annotation_select]


def shape_of(rows: Any, names: list[str] | None, added: int = 0) -> Shape:
    """Return what makes of merged rows those that were asked for, without values `added` at the end."""
    if names is None:
        return list
    kind, width = rows._iterable_class, len(names)
    if issubclass(kind, ValuesIterable):
        return lambda found: [dict(zip(names, row, strict=False)) for row in found]
    if issubclass(kind, FlatValuesListIterable):
        return lambda found: list(map(itemgetter(0), found))
    if issubclass(kind, NamedValuesListIterable):
        tuple_class = create_namedtuple_class(*(rows._fields or names))
        return lambda found: [tuple_class._make(row[:width]) for row in found]
    if issubclass(kind, ValuesListIterable):
        return (lambda found: [row[:width] for row in found]) if added else list
    raise cannot_do(rows.model, kind.__name__, "its rows are unknown to scatter()", "use values()")
