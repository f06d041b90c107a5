"""Find in a query's WHERE clause the shards whose rows it can match."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db.models.lookups import Exact, In
from django.db.models.sql.where import AND, NothingNode, WhereNode

from scalekit.db.sharding.declarations import KEY, declaration_of, pointed_at
from scalekit.db.sharding.placing import scheme_of
from scalekit.db.sharding.probing import located

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model
    from django.db.models.sql.query import Query

    from scalekit.db.sharding.base import ShardingScheme

NOWHERE: frozenset[str] = frozenset()
PLAIN = frozenset({int, str, UUID})  # types of a value that is no expression


class Condition(NamedTuple):
    """One condition that all rows of a query meet, and on which shards such rows lie.

    `unsure` are the ids among its values of which each shard in `maybe` may have the row; `keys` are those
    that it names.
    """

    surely: frozenset[str] = NOWHERE
    maybe: frozenset[str] = NOWHERE
    field: Any = None
    unsure: tuple[Any, ...] = ()
    keys: tuple[Any, ...] = ()

    @property
    def shards(self) -> frozenset[str]:
        return self.surely | self.maybe if self.maybe else self.surely

    def sure(self) -> frozenset[str]:
        """Ask the shards where the rows of the unsure ids lie."""
        if not self.unsure:
            return self.surely
        return self.surely.union(located(self.field, self.unsure, sorted(self.maybe)).values())


class Named(NamedTuple):
    """The shards a query names, by conditions that must all hold."""

    conditions: tuple[Condition, ...]

    @property
    def shards(self) -> frozenset[str]:
        if len(self.conditions) == 1:
            return self.conditions[0].shards
        return frozenset.intersection(*(condition.shards for condition in self.conditions))

    def sure(self) -> frozenset[str]:
        """Return the shards that have such rows; several candidates for an id are asked for it."""
        shards = self.shards
        if len(shards) < 2:  # noqa: PLR2004 - one shard or none is sure already
            return shards
        return frozenset.intersection(*(condition.sure() for condition in self.conditions))


def shards_of_query(query: Query, group: str) -> frozenset[str] | None:
    """Return every shard on which rows of a query may lie; none if it matches nothing, None if it names none.

    Conditions are ANDed, so each narrows the answer; what stands under OR or NOT is not looked at. No
    shard is asked, but the index of unique values may be.
    """
    named = named_by(query, group)
    return None if named is None else named.shards


def placed_at_once(query: Query, group: str, scheme: ShardingScheme) -> tuple[str, Any] | None:
    """Return the shard of `filter(key=value)` or `get(pk=id)`, and the key; None if the query says more than that.

    Most queries say no more, and are placed in a third of the time that `named_by` and `is_plain` take.
    """
    where = query.where
    if len(where.children) != 1 or where.negated or query.order_by or _holds_more(query):
        return None
    (lookup,) = where.children
    if not isinstance(lookup, Exact) or type(lookup.rhs) not in PLAIN:
        return None
    field: Any = getattr(lookup.lhs, "target", None)
    meaning = None if field is None else _meaning(field, group)
    if meaning is None or not _is_of(query, lookup.lhs.alias):
        return None
    value = field.to_python(lookup.rhs)
    if meaning is KEY:
        return scheme.shard_for(value), value
    slot = pointed_at(field).slot_of(value)
    shards = () if slot is None else scheme.shards_for_slot(slot)
    return (shards[0], None) if len(shards) == 1 else None


def named_by(query: Query, group: str) -> Named | None:
    """Return what a query says of its shards, None if it names none."""
    if query.combinator:
        return _union(named_by(part, group) for part in query.combined_queries)
    scheme, found = scheme_of(group), []
    for lookup in and_lookups(query.where):
        condition = _condition(query, lookup, group, scheme)
        if condition is not None:
            found.append(condition)
    if not found and getattr(query.model, "shard_lookups", None):
        return _named_by_index(query, group)
    return Named(tuple(found)) if found else None


def slots_of_query(query: Query, group: str) -> set[int]:
    """Return the slots of all keys and ids that a query compares with values, as far as they hold one."""
    scheme, found = scheme_of(group), set()
    for lookup in and_lookups(query.where):
        field, meaning, values = _named_column(query, lookup, group)
        for value in map(field.to_python, values or ()):
            slot = scheme.slot(value) if meaning is KEY else pointed_at(field).slot_of(value)
            found |= set() if slot is None else {slot % scheme.slots}
    return found


def _named_by_index(query: Query, group: str) -> Named | None:
    """Ask the index of values that are unique across shards."""
    from scalekit.db.sharding.lookup_index.finding import shards_by_index

    shards = shards_by_index(query, group)
    return None if shards is None else Named((Condition(shards),))


def and_lookups(node: Any) -> Iterator[Any]:
    """Return the conditions that must all hold."""
    if not isinstance(node, WhereNode):
        yield node
    elif node.connector == AND and not node.negated:
        for child in node.children:
            yield from and_lookups(child)


def is_plain(query: Query) -> bool:
    """Return whether a query compares columns with values and does no more, as most do: it holds no other."""
    if _holds_more(query):
        return False
    return all(isinstance(name, str) for name in query.order_by) and all(
        isinstance(lookup, (Exact, In))
        and hasattr(lookup.lhs, "target")
        and _plain_values(lookup, wrapped=False) is not None
        for lookup in query.where.children
    )


def _holds_more(query: Query) -> bool:
    more = query.combined_queries or query.annotations or query._filtered_relations  # type: ignore[attr-defined]  # not in the stubs
    return bool(more)


def is_prefetch(query: Query, instance: Model) -> bool:
    """Return whether a query asks for what hangs on a list of rows, `instance` among them.

    That of a related manager is about one row, so it demands equality with that.
    """
    lists: list[Any] = []
    equals: list[Any] = []
    for lookup in _all_lookups(query.where):
        if isinstance(lookup, (Exact, In)) and _mentions(lookup, instance):
            (lists if isinstance(lookup, In) else equals).append(compared(lookup))
    return bool(lists) and not any(c in lists or _points_to(c, instance) for c in equals)


def _union(parts: Iterable[Named | None]) -> Named | None:
    known = list(parts)
    if None in known:
        return None
    return Named((Condition(NOWHERE.union(*(named.shards for named in known if named))),))


def _condition(query: Query, lookup: Any, group: str, scheme: ShardingScheme) -> Condition | None:
    """Return what ``field = value`` or ``field IN (values)`` says, if the field names shards."""
    if isinstance(lookup, NothingNode):
        return Condition()
    field, meaning, values = _named_column(query, lookup, group)
    if values is None:
        return None
    if meaning is KEY:
        keys = tuple(field.to_python(value) for value in values)
        return Condition(frozenset(map(scheme.shard_for, keys)), keys=keys)
    return _by_ids(field, values, scheme)


def _named_column(query: Query, lookup: Any, group: str) -> tuple[Any, Any, list[Any] | None]:
    """Return the column that a lookup compares, what its values say, and these; None if they say nothing."""
    if not isinstance(lookup, (Exact, In)):
        return None, None, None
    field, wrapped = _column(query, lookup.lhs)
    meaning = None if field is None else _meaning(field, group)
    return field, meaning, None if meaning is None else _plain_values(lookup, wrapped=wrapped)


def _by_ids(field: Any, values: list[Any], scheme: ShardingScheme) -> Condition:
    surely: set[str] = set()
    maybe: set[str] = set()
    unsure, target = [], pointed_at(field)
    for value in values:
        slot = target.slot_of(target.to_python(value))
        shards = scheme.shards if slot is None else scheme.shards_for_slot(slot)
        if len(shards) == 1 == len(values):  # as in `get(pk=...)`
            return Condition(frozenset(shards))
        if len(shards) == 1:
            surely.add(shards[0])
        else:
            maybe.update(shards)
            unsure.append(value)
    return Condition(frozenset(surely), frozenset(maybe), field, tuple(unsure))


def _meaning(field: Any, group: str) -> str | None:
    """Return what a column's value says of its row: it is the shard key, or an id that holds a slot."""
    declaration = declaration_of(field.model)
    return declaration.meanings.get(field.attname) if declaration.group == group else None


def _column(query: Query, lhs: Any) -> tuple[Any, bool]:
    """Return the field that a lookup compares, and whether it is a tuple of one.

    It may be that of a joined table: whatever a query joins lies on one shard. Prefetching through a
    foreign key compares a tuple, `TupleIn(ColPairs)`.
    """
    targets = getattr(lhs, "targets", None)
    if targets is not None:
        return (targets[0] if len(targets) == 1 and _is_of(query, lhs.alias) else None), True
    target = getattr(lhs, "target", None)
    return (target if _is_of(query, getattr(lhs, "alias", None)) else None), False


def _is_of(query: Query, alias: str | None) -> bool:
    """Return whether a table is the query's own, and not of one around it."""
    if alias is None:
        return False
    return alias in query.alias_map or alias == query.model._meta.db_table  # type: ignore[union-attr]  # set by now


def _plain_values(lookup: Any, *, wrapped: bool) -> list[Any] | None:
    """Return the values on the right-hand side, None if they are known to the database alone."""
    if isinstance(lookup, Exact) and not wrapped:  # most are this
        value = lookup.rhs
        if hasattr(value, "resolve_expression") or hasattr(value, "as_sql"):
            return None
        return [] if value is None else [value]
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


def _mentions(lookup: Any, instance: Model) -> bool:
    """Return whether a lookup has among its values the one by which rows hang on `instance`."""
    wrapped = getattr(lookup.lhs, "targets", None) is not None
    # As text: the object_id of a generic relation may be one.
    listed = {str(value) for value in _plain_values(lookup, wrapped=wrapped) or ()}
    return str(_same_value(compared(lookup), instance)) in listed


def compared(lookup: Any) -> Any:
    targets = getattr(lookup.lhs, "targets", None)
    return targets[0] if targets else getattr(lookup.lhs, "target", None)


def _points_to(column: Any, instance: Model) -> bool:
    is_key = column is not None and column.remote_field is not None
    return is_key and isinstance(instance, column.remote_field.model)


def _same_value(column: Any, instance: Model) -> Any:
    """Return what `instance` has in a column that points where this one does, else its id."""
    for field in instance._meta.concrete_fields:
        if column is not None and pointed_at(field) == pointed_at(column):
            return instance.__dict__.get(field.attname)
    return instance.pk
