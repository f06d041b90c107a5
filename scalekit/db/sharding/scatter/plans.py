"""A query over all shards: the part that each is asked for, and how the answers become one."""
# ruff: noqa: SLF001 - _meta is Django's documented API; querysets of ours

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F
from django.db.models.query import ValuesListIterable

from scalekit.db.sharding.scatter import shapes
from scalekit.db.sharding.scatter.comparing import order_of, require_sortable
from scalekit.db.sharding.scatter.ordering import Sort, sorts_of, sorts_of_id, with_ties
from scalekit.db.sharding.scatter.sorting import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.db.sharding.scatter.judges import Judges
    from scalekit.db.sharding.scatter.sorting import Order

PREFIX = "_scatter_"  # of the columns that are read to sort by


@dataclass(frozen=True, slots=True)
class Key:
    """A column that answers are merged by."""

    sort: Sort
    expression: Any  # resolved in the query
    name: str  # of the attribute that an instance has it in
    place: int | None  # of the value in a row of values

    @property
    def read(self) -> Callable[[Any], Any]:
        return attrgetter(self.name) if self.place is None else itemgetter(self.place)


@dataclass(frozen=True, slots=True)
class Plan:
    """What each shard is asked, and what its rows are merged by.

    `start` and `stop` are the slice of the whole; `same` is the number of keys by which two rows are
    one, where repeats are left out; `added` are attributes of instances that were read to sort by.
    """

    part: Any
    keys: tuple[Key, ...]
    shape: Callable[[list[Any]], list[Any]]
    start: int
    stop: int | None
    same: int
    added: tuple[str, ...]

    @property
    def gives_tuples(self) -> bool:
        return issubclass(self.part._iterable_class, ValuesListIterable)

    def limited(self, rows: int) -> Plan:
        """Ask each shard for at most so many rows, where it would give more."""
        stop = self.stop
        part = self.part._chain()
        part.query.clear_limits()
        part.query.set_limits(0, rows if stop is None else min(stop, rows))
        return replace(self, part=part)

    def ask(self, alias: str) -> Any:
        return self.part.using(alias)

    def finished(self, rows: list[Any]) -> list[Any]:
        """Return merged rows in the shape that was asked for."""
        for name in self.added:
            for row in rows:
                del row.__dict__[name]
        return self.shape(rows)

    def chunk(self, rows: list[Any]) -> Chunk:
        columns = [list(map(key.read, rows)) for key in self.keys]
        return Chunk(rows, columns)

    def orders(self, judges: Judges) -> list[Order]:
        """Return how keys are compared; `judges` have the word on text."""
        return [
            order_of(self.part, key.sort, key.expression, judges, same=place < self.same)
            for place, key in enumerate(self.keys)
        ]


def plan_of(rows: Any, part: Any, ties: Sequence[Sort] | None = None) -> Plan:
    """Make the plan of a queryset; `part` is a copy of it, to be asked of one shard.

    `ties` decide between rows that are otherwise equal, and tell them apart; by default the id does.
    """
    query, names = part.query, shapes.names_of(rows)
    own = sorts_of(query) or tuple(Sort(F(name)) for name in query.distinct_fields)
    sorts = with_ties(own, _ties(rows, names, ties), rows.model)
    same = len(query.distinct_fields) or (len(sorts) if _repeats(query, names) else 0)
    keys, added = _keys(rows, part, sorts, names)
    start, stop = query.low_mark, query.high_mark
    query.clear_limits()
    query.set_limits(0, stop)
    query.clear_ordering(force=True)
    query.standard_ordering = True
    query.add_ordering(*(_pushed(key, place, added) for place, key in enumerate(keys)))
    part._prefetch_related_lookups = ()
    if names is not None:
        part._iterable_class = ValuesListIterable
    shape = shapes.shape_of(rows, names, len(added))
    return Plan(part, keys, shape, start, stop, same, () if names is not None else added)


def plan_of_count(rows: Any) -> Plan | None:
    """Make the plan that counts the rows of each shard; None where Django has more to do than to count."""
    query = rows.query
    if query.annotations or query.distinct or query.extra or query.group_by is not None:
        return None
    part = rows.on_one_shard()
    part.query.clear_ordering(force=True)
    part.query.clear_limits()
    part.query.clear_select_clause()
    part.query.select_for_update = False
    part.query.add_annotation(Count("*"), f"{PREFIX}count")
    part._iterable_class = ValuesListIterable
    return Plan(part, (), list, 0, None, 0, ())


def _repeats(query: Any, names: Sequence[str] | None) -> bool:
    """Return whether DISTINCT has to be done once more over all shards: rows with an id are never the same."""
    return bool(query.distinct) and names is not None and not query.distinct_fields


def _ties(rows: Any, names: Sequence[str] | None, ties: Sequence[Sort] | None) -> Sequence[Sort]:
    if names is not None and _repeats(rows.query, names):
        found: Sequence[Sort] = [Sort(F(name)) for name in names]
    else:
        found = sorts_of_id(rows.model) if ties is None else ties
    return found if rows.query.standard_ordering else [sort.reversed() for sort in found]


def _pushed(key: Key, place: int, added: tuple[str, ...]) -> Any:
    alias = f"{PREFIX}{place}"
    return key.sort.order_by(F(alias) if alias in added else None)


def _keys(
    rows: Any, part: Any, sorts: Sequence[Sort], names: Sequence[str] | None
) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """Have each shard give what it sorts by; add the columns that are not among those asked for."""
    keys: list[Key] = []
    added: list[str] = []
    for place, sort in enumerate(sorts):
        key = _given(rows, sort, names)
        if key is None:
            alias = f"{PREFIX}{place}"
            part.query.add_annotation(sort.expression, alias)
            at = None if names is None else len(names) + len(added)
            key = Key(sort, part.query.annotations[alias], alias, at)
            added.append(alias)
        require_sortable(rows.model, sort, key.expression)
        keys.append(key)
    return tuple(keys), tuple(added)


def _given(rows: Any, sort: Sort, names: Sequence[str] | None) -> Key | None:
    """Return the key of a column that rows have anyway, None if they have not."""
    name = sort.name
    if not name:
        return None
    if names is not None:
        expression = rows.query.annotations.get(name) or _column(rows.model, name)
        if name not in names or expression is None:
            return None
        return Key(sort, expression, name, list(names).index(name))
    if name in rows.query.annotation_select:
        return Key(sort, rows.query.annotations[name], name, None)
    whole = rows.query.deferred_loading == (frozenset(), True)
    expression = _column(rows.model, name) if whole else None
    if expression is None:
        return None
    return Key(sort, expression, expression.target.attname, None)


def _column(model: Any, name: str) -> Any:
    """Return a column of the model itself by its name, None for any other."""
    for field in model._meta.local_concrete_fields:
        if name in {field.name, field.attname} and field.column is not None:
            return field.get_col(model._meta.db_table)
    return None
