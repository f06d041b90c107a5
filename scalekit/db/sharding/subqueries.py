"""Let a subquery see the rows it is about, or refuse it: it runs on its outer query's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql.query import Query

from scalekit.db.conf import schemes
from scalekit.db.sharding.declarations import declaration_of, declared_group, is_reference
from scalekit.db.sharding.joins import is_within_reach
from scalekit.db.sharding.lookups import and_lookups, shards_of_query
from scalekit.db.sharding.placing import primary_of_context
from scalekit.db.sharding.refusals import subquery_elsewhere, subquery_untied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Field


def check_subqueries(
    query: Query, group: str, primary: str | None, *, explicit: bool = False
) -> None:
    """Raise `CrossShardQuery` for a subquery that may match rows which `primary` does not have.

    That is None for a query on every shard. Where the caller named it (`explicit`), subqueries that name
    no shard mean its rows.
    """
    for inner, lookup in _subqueries(query):
        if not is_within_reach(inner.model, group):  # type: ignore[arg-type]  # set by now
            raise subquery_elsewhere(query.model, inner.model)
        whole = is_reference(inner.model)  # type: ignore[arg-type]  # set by now
        if (
            not whole
            and not _tied(inner, lookup)
            and not _all_on(inner, group, primary, explicit=explicit)
        ):
            raise subquery_untied(query.model, inner.model)
        check_subqueries(inner, group, primary, explicit=explicit)


def _subqueries(query: Query) -> Iterator[tuple[Query, Any]]:
    """Return each query inside another, with the lookup whose right-hand side it is, if any.

    The parts of a union are among them.
    """
    joins: Any = query.alias_map.values()
    filtered = (getattr(join, "filtered_relation", None) for join in joins)
    found: list[tuple[Any, Any]] = [
        (node, None)
        for node in (
            query.where,
            *query.combined_queries,
            *query.annotations.values(),
            *query.order_by,
            *(relation.resolved_condition for relation in filtered if relation),
        )
    ]
    while found:
        node, lookup = found.pop()
        if isinstance(node, Query):
            yield node, lookup
        elif hasattr(node, "get_source_expressions"):
            found += [(child, node) for child in node.get_source_expressions()]


def _all_on(inner: Query, group: str, primary: str | None, *, explicit: bool) -> bool:
    if schemes[group].spreads_itself:
        return True
    if primary is None:
        return False
    shards = shards_of_query(inner, group)
    if shards is None:
        return explicit or primary_of_context(group) == primary
    return set(shards) <= {primary}


def _tied(inner: Query, lookup: Any) -> bool:
    """Return whether each row can only match rows of its own shard: both carry one key or one id."""
    if inner.combinator:
        return False
    if isinstance(lookup, In) and lookup.rhs is inner:
        whole = not inner.is_sliced and inner.group_by is None and not inner.annotation_select
        if whole and len(inner.select) == 1 and _agree(lookup.lhs, inner.select[0]):
            return True
    return any(
        isinstance(condition, Exact)
        and _is_outer(inner, condition.lhs) != _is_outer(inner, condition.rhs)
        and _agree(condition.lhs, condition.rhs)
        for condition in and_lookups(inner.where)
    )


def _is_outer(inner: Query, side: Any) -> bool:
    return getattr(side, "alias", None) not in inner.alias_map


def _agree(one: Any, other: Any) -> bool:
    """Return whether rows with equal values in these two columns lie on the same shard."""
    if not isinstance(one, Col) or not isinstance(other, Col):
        return False
    place = _place(one.target)
    return place is not None and place == _place(other.target)


def _place(field: Field[Any, Any]) -> Any:
    """Return what a column's value says of the shard: the id of one row there, or the group's key."""
    group = declared_group(field.model)
    if group is None:
        return None
    row: Any = field
    while row.remote_field is not None and declared_group(row.related_model) == group:
        row = row.target_field
    if row is not field or field.primary_key:
        return row
    return group if field == declaration_of(field.model).own_key else None
