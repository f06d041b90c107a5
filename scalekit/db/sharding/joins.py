"""Refuse, where the query is written, what a shard's database could not see: tables of another one.

The query itself says no, not the queryset: every way of building one ends in these few methods.
"""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DEFAULT_DB_ALIAS
from django.db.models import F
from django.db.models.constants import LOOKUP_SEP
from django.db.models.sql.query import Query

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.sharding.declarations import group_of, is_reference
from scalekit.db.sharding.refusals import (
    join_back_from_reference,
    join_elsewhere,
    subquery_elsewhere,
    union_elsewhere,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model

DEPTH = 5  # to which select_related() without names follows foreign keys, as in Django


class ShardedQuery(Query):
    """The query of a sharded model: an ordinary one until the model's group is configured.

    Raises `CrossShardQuery` for a join, a subquery or a union with tables that are not on its shard.
    """

    def trim_joins(self, targets: Any, joins: list[str], path: Any) -> Any:
        """Look at what is left once Django has dropped the joins that a foreign key's own column saves."""
        trimmed = super().trim_joins(targets, joins, path)
        if len(trimmed[2]) > 1:
            self._check_aliases(trimmed[2])
        return trimmed

    def add_ordering(self, *ordering: Any) -> None:
        super().add_ordering(*ordering)
        if ordering:
            self._check_names(name.lstrip("-+") for name in ordering if isinstance(name, str))

    def add_distinct_fields(self, *field_names: str) -> None:
        super().add_distinct_fields(*field_names)
        self._check_names(field_names)

    def add_annotation(self, annotation: Any, alias: str, select: bool = True) -> None:
        super().add_annotation(annotation, alias, select)
        self._check_inner(self.annotations[alias])

    def build_filter(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        built = super().build_filter(filter_expr, *args, **kwargs)
        value = filter_expr[1] if isinstance(filter_expr, tuple) else filter_expr
        if hasattr(value, "resolve_expression"):
            self._check_inner(built[0])
        return built

    def resolve_expression(self, query: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Stand as a subquery, in queries on the same shards alone."""
        group = group_of(self.model)  # type: ignore[arg-type]  # set by now
        if group is not None and not is_within_reach(query.model, group, reference=False):
            raise subquery_elsewhere(query.model, self.model)
        return super().resolve_expression(query, *args, **kwargs)

    def get_compiler(
        self, using: Any = None, connection: Any = None, elide_empty: bool = True
    ) -> Any:
        """Refuse to be a part of an unsharded model's union: Django gives a part both, a query one."""
        if using is not None and connection is not None and _is_default(using):
            group = group_of(self.model)  # type: ignore[arg-type]  # set by now
            if group is not None and not schemes[group].spreads_itself:
                raise union_elsewhere(None, self.model)
        return super().get_compiler(using, connection, elide_empty)

    def _check_aliases(self, aliases: Iterable[str]) -> None:
        group = group_of(self.model)  # type: ignore[arg-type]  # set by now
        if group is None:
            return
        for alias in aliases:
            join: Any = self.alias_map[alias]
            other = _joined_model(join)
            if other is None:
                continue
            if not is_within_reach(other, group):
                raise join_elsewhere(self.model, other)
            came_from = _joined_model(self.alias_map[join.parent_alias])
            if came_from is not None and is_reference(came_from) and not is_reference(other):
                raise join_back_from_reference(self.model, came_from, other)

    def _check_names(self, names: Iterable[str]) -> None:
        """Look at names which Django follows when the query runs: on a copy, which joins them now."""
        crossing = [name for name in names if self._may_join(name)]
        if crossing and group_of(self.model) is not None:  # type: ignore[arg-type]  # set by now
            copy = self.clone()
            for name in crossing:
                with suppress(FieldError):  # which Django raises when the query runs
                    for column in _ordered_by(copy, name):
                        F(column).resolve_expression(copy)

    def _may_join(self, name: str) -> bool:
        if name in self.annotations or name in self.extra or name in {"?", "pk"}:
            return False
        if LOOKUP_SEP in name:
            return True
        try:
            return self.get_meta().get_field(name).is_relation
        except FieldDoesNotExist:
            return False

    def _check_inner(self, node: Any) -> None:
        for inner in _queries(node):
            group = group_of(self.model)  # type: ignore[arg-type]  # set by now
            if group is not None and not is_within_reach(inner.model, group):  # type: ignore[arg-type]  # set by now
                raise subquery_elsewhere(self.model, inner.model)


def is_within_reach(model: type[Model], group: str, *, reference: bool = True) -> bool:
    """Return whether a shard of `group` has the rows of `model` that belong to its own."""
    other = group_of(model)
    if other == group or (reference and is_reference(model)):
        return True
    # One engine that spreads rows by itself joins whatever it holds.
    scheme = schemes[group]
    if other is None:
        return scheme.spreads_itself and _is_default(scheme.shards[0])
    return scheme.spreads_itself and schemes[other].shards == scheme.shards


def check_selected(query: Query) -> None:
    """Raise `CrossShardQuery` where `select_related()` follows a relation to another database."""
    group = group_of(query.model)  # type: ignore[arg-type]  # set by now
    if group is None or not query.select_related:
        return
    if query.select_related is True:
        found = _required_relations(query.model, DEPTH)  # type: ignore[arg-type]  # set by now
    else:
        found = _named_relations(query, query.model, query.select_related)
    for other in found:
        if not is_within_reach(other, group):
            raise join_elsewhere(query.model, other)


def check_union(query: Query, parts: Iterable[Any]) -> None:
    """Raise `CrossShardQuery` where a part of a union lies on another database."""
    group = group_of(query.model)  # type: ignore[arg-type]  # set by now
    for part in parts:
        if group is not None and not is_within_reach(part.model, group):
            raise union_elsewhere(query.model, part.model)


def _is_default(alias: str) -> bool:
    return current_cluster().owner.get(alias, alias) == DEFAULT_DB_ALIAS


def _joined_model(join: Any) -> type[Model] | None:
    """Return the model of a join's table, None for the first table.

    A generic relation tells it the other way round than a foreign key does, so the table decides.
    """
    field = getattr(join, "join_field", None)
    for model in (getattr(field, "related_model", None), getattr(field, "model", None)):
        if model is not None and model._meta.db_table == join.table_name:
            return model  # type: ignore[no-any-return]  # a class
    return None


def _ordered_by(query: Query, name: str) -> Iterator[str]:
    """Return the columns that an ordering leads to: that by a related row is by the order of its model."""
    pieces = name.split(LOOKUP_SEP)
    _, field, _, rest = query.names_to_path(pieces, query.get_meta())
    ordering = field.related_model._meta.ordering if field.is_relation else ()
    by_column = rest or pieces[-1] in {"pk", getattr(field, "attname", None)}
    inner = [item.lstrip("-+") for item in ordering if isinstance(item, str)]
    if by_column or not inner:
        yield name
    else:
        yield from (f"{name}{LOOKUP_SEP}{item}" for item in inner if item != "?")


def _queries(node: Any) -> Iterator[Query]:
    found = [node]
    while found:
        current = found.pop()
        if isinstance(current, Query):
            yield current
        elif hasattr(current, "get_source_expressions"):
            found += current.get_source_expressions()


def _required_relations(model: type[Model], depth: int) -> Iterator[type[Model]]:
    for field in model._meta.concrete_fields:
        if field.is_relation and not field.null and depth:
            other: Any = field.related_model
            yield other
            yield from _required_relations(other, depth - 1)


def _named_relations(query: Query, model: Any, names: dict[str, Any]) -> Iterator[type[Model]]:
    for name, further in names.items():
        filtered = query._filtered_relations.get(name)  # type: ignore[attr-defined]  # not in the stubs
        path = name if filtered is None else filtered.relation_name
        other = model
        for part in path.split(LOOKUP_SEP):
            try:
                other = other._meta.get_field(part).related_model
            except FieldDoesNotExist:  # Django says so when the query runs
                return
            if other is None:
                return
            yield other
        yield from _named_relations(query, other, further)
