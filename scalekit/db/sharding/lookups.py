"""Find in a query's WHERE clause the slots whose rows it can match."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.lookups import Exact, In
from django.db.models.sql.where import AND, NothingNode, WhereNode

from scalekit.db.sharding.placing import placing_fields, slot_of_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model
    from django.db.models.sql.query import Query

    from scalekit.db.sharding.base import ShardingScheme

NOWHERE: frozenset[int] = frozenset()


def slots_of_query(query: Query, scheme: ShardingScheme) -> frozenset[int] | None:
    """Return the slots a query is confined to; none if it matches nothing, None if it may match any.

    Conditions are ANDed, so each narrows the answer; what stands under OR or NOT is not looked at.
    """
    if query.combinator:
        return _union(slots_of_query(part, scheme) for part in query.combined_queries)
    found: frozenset[int] | None = None
    for condition in and_lookups(query.where):
        slots = _slots_of_condition(query, condition, scheme)
        if slots is not None:
            found = slots if found is None else found & slots
    return found


def lists_others(query: Query, instance: Model) -> bool:
    """Return whether a query filters by a list of rows, one of them `instance`, as prefetching does."""
    return any(
        isinstance(lookup, In) and _lists_others(lookup, instance)
        for lookup in _all_lookups(query.where)
    )


def and_lookups(node: Any) -> Iterator[Any]:
    """Return the conditions that must all hold."""
    if not isinstance(node, WhereNode):
        yield node
    elif node.connector == AND and not node.negated:
        for child in node.children:
            yield from and_lookups(child)


def _union(parts: Iterable[frozenset[int] | None]) -> frozenset[int] | None:
    known = list(parts)
    return None if None in known else NOWHERE.union(*known)  # type: ignore[arg-type]  # no None left


def _slots_of_condition(
    query: Query, condition: Any, scheme: ShardingScheme
) -> frozenset[int] | None:
    if isinstance(condition, NothingNode):
        return NOWHERE
    return (
        _slots_of_lookup(query, condition, scheme) if isinstance(condition, (Exact, In)) else None
    )


def _slots_of_lookup(query: Query, lookup: Any, scheme: ShardingScheme) -> frozenset[int] | None:
    """Return the slots of ``field = value`` or ``field IN (values)``, if the field names any."""
    field, wrapped = _column(query, lookup.lhs)
    if field is None or field not in placing_fields(query.model):
        return None
    values = _plain_values(lookup, wrapped=wrapped)
    if values is None:
        return None
    slots = {slot_of_value(field, field.to_python(value), scheme) for value in values}
    return None if None in slots else frozenset(slots)  # type: ignore[arg-type]  # no None left


def _column(query: Query, lhs: Any) -> tuple[Any, bool]:
    """Return the base table's field that a lookup compares, and whether it is a tuple of one.

    Prefetching through a foreign key compares a tuple, `TupleIn(ColPairs)`.
    """
    targets = getattr(lhs, "targets", None)
    if targets is not None:
        return (targets[0] if len(targets) == 1 and _is_base(query, lhs.alias) else None), True
    target = getattr(lhs, "target", None)
    return (target if _is_base(query, getattr(lhs, "alias", None)) else None), False


def _is_base(query: Query, alias: str | None) -> bool:
    table = query.model._meta.db_table  # type: ignore[union-attr]  # set by now
    return alias is not None and alias in {query.base_table, table}


def _plain_values(lookup: Any, *, wrapped: bool) -> list[Any] | None:
    """Return the values on the right-hand side, None if they are known to the database alone."""
    if not lookup.rhs_is_direct_value():
        return None
    values = list(lookup.rhs) if isinstance(lookup, In) else [lookup.rhs]
    if wrapped:
        values = [value[0] if isinstance(value, (tuple, list)) else value for value in values]
    if any(hasattr(value, "resolve_expression") for value in values):
        return None
    return [value for value in values if value is not None]


def _all_lookups(node: Any) -> Iterator[Any]:
    if not isinstance(node, WhereNode):
        yield node
        return
    for child in node.children:
        yield from _all_lookups(child)


def _lists_others(lookup: Any, instance: Model) -> bool:
    targets = getattr(lookup.lhs, "targets", None)
    column = targets[0] if targets else getattr(lookup.lhs, "target", None)
    # As text: the object_id of a generic relation may be one.
    listed = {str(value) for value in _plain_values(lookup, wrapped=bool(targets)) or ()}
    return len(listed) > 1 and str(_same_value(column, instance)) in listed


def _same_value(column: Any, instance: Model) -> Any:
    """Return what `instance` has in a column that points where this one does, else its id."""
    for field in instance._meta.concrete_fields:
        if column is not None and _pointed_at(field) == _pointed_at(column):
            return instance.__dict__.get(field.attname)
    return instance.pk


def _pointed_at(field: Any) -> Any:
    return field if field.remote_field is None else field.target_field
