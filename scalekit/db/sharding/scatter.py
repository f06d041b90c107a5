"""One query, asked of every shard: pushed down, merged, and the same as one database would answer."""
# ruff: noqa: SLF001 - other scatters of this class, and the queryset it stands for

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import models

from scalekit.db.conf import schemes
from scalekit.db.events import SCATTERED
from scalekit.db.exceptions import ScatterUnsupported
from scalekit.db.servers import read_alias
from scalekit.db.sharding.ordering import Ordering, ordering_of
from scalekit.db.sharding.subqueries import check_subqueries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

    from scalekit.db.sharding.queryset import ShardedQuerySet

M = TypeVar("M", bound=models.Model)


class ScatterQuerySet(Generic[M]):
    """The part of a queryset that is exact over several shards; everything else is refused.

    Rows that are equal in the order asked for are ordered by id. ORDER BY and LIMIT are done by the
    shards, so a slice reads at most offset + limit rows from each.
    """

    def __init__(self, rows: ShardedQuerySet[M], group: str) -> None:
        query = rows.query
        if query.combinator or query.is_sliced or query.distinct or query.annotations:
            raise ScatterUnsupported(
                f"scatter() on {rows.model.__name__} goes first: before slices, unions, distinct() and annotate()."
            )
        self.model, self.group = rows.model, group
        self._rows = rows
        self._start, self._stop = 0, None
        self._columns: tuple[str, ...] | None = None
        self._flat = False
        self._found: list[Any] | None = None

    _start: int
    _stop: int | None

    def __repr__(self) -> str:
        return f"<Scatter of {self.model.__name__} over {', '.join(self.shards())}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(models.QuerySet, name):
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        msg = (
            f"scatter() has no {name}() yet: over several shards it would not be exact. "
            "Narrow the query to one shard by its key, or write it per shard with on_every_shard()."
        )
        raise ScatterUnsupported(msg)

    # Building the query.

    def all(self) -> Self:
        return self._with(self._rows)

    def none(self) -> Self:
        return self._with(self._rows.none())

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        return self._unsliced("filter")._with(self._rows.filter(*args, **kwargs))

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        return self._unsliced("exclude")._with(self._rows.exclude(*args, **kwargs))

    def order_by(self, *names: Any) -> Self:
        ordered = self._unsliced("order_by")._with(self._rows.order_by(*names))
        ordering_of(ordered._rows)  # refuse now, where the mistake stands
        return ordered

    def reverse(self) -> Self:
        return self._unsliced("reverse")._backwards()

    def select_related(self, *names: Any) -> Self:
        return self._with(self._rows.select_related(*names))

    def prefetch_related(self, *lookups: Any) -> Self:
        return self._with(self._rows.prefetch_related(*lookups))

    def only(self, *names: str) -> Self:
        return self._with(self._rows.only(*names, *ordering_of(self._rows).attributes))

    def defer(self, *names: str) -> Self:
        kept = ordering_of(self._rows).attributes
        return self._with(self._rows.defer(*(name for name in names if name not in kept)))

    def values_list(self, *fields: str, flat: bool = False) -> Self:
        if not fields or not all(isinstance(field, str) for field in fields):
            raise ScatterUnsupported("scatter().values_list() takes the names of columns.")
        if flat and len(fields) > 1:
            raise TypeError("'flat' is not valid when values_list is called with several fields.")
        copy = self._with(self._rows)
        copy._columns, copy._flat = fields, flat
        return copy

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, int):
            if key < 0:
                raise ValueError("Negative indexing is not supported.")
            return list(self[key : key + 1])[0]  # noqa: RUF015 - IndexError is right here
        if key.step is not None or (key.start or 0) < 0 or (key.stop or 0) < 0:
            raise ValueError("A slice of scatter() takes no step and no negative numbers.")
        copy = self._with(self._rows)
        copy._start = self._start + (key.start or 0)
        ends = [self._stop, None if key.stop is None else self._start + key.stop]
        copy._stop = min((end for end in ends if end is not None), default=None)
        return copy

    # Asking.

    @property
    def ordered(self) -> bool:
        return True

    def shards(self) -> list[str]:
        """Return the aliases of the primaries whose shards are asked."""
        named = self._rows._shards(self.group)
        return list(schemes[self.group].shards) if named is None else named

    def count(self) -> int:
        total = sum(rows.count() for rows in self._on_each_shard())
        stop = total if self._stop is None else min(self._stop, total)
        return max(0, stop - self._start)

    def exists(self) -> bool:
        if self._start or self._stop is not None:
            return self.count() > 0
        return any(rows.exists() for rows in self._on_each_shard())

    def first(self) -> Any:
        return next(iter(self[:1]), None)

    def last(self) -> Any:
        return self._unsliced("last")._backwards().first()

    def get(self, *args: Any, **kwargs: Any) -> Any:
        found = list(self.filter(*args, **kwargs)[:2])
        if len(found) == 1:
            return found[0]
        name = self.model.__name__
        if found:
            raise self._model.MultipleObjectsReturned(f"get() found more than one {name}.")
        raise self._model.DoesNotExist(f"No shard has a {name} that matches.")

    def iterator(self, chunk_size: int = 2000) -> Iterator[Any]:
        """Read row by row, `chunk_size` at a time from each shard."""
        return self._merged(lambda rows: rows.iterator(chunk_size))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fetch())

    def __len__(self) -> int:
        return len(self._fetch())

    def __bool__(self) -> bool:
        return bool(self._fetch())

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in await sync_to_async(self._fetch)():
            yield row

    async def acount(self) -> int:  # codespell:ignore acount
        return await sync_to_async(self.count)()

    async def aexists(self) -> bool:
        return await sync_to_async(self.exists)()

    async def afirst(self) -> Any:
        return await sync_to_async(self.first)()

    async def aget(self, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(self.get)(*args, **kwargs)

    # Inside.

    @property
    def _model(self) -> Any:  # the stubs know its exceptions on a concrete class alone
        return self.model

    def _with(self, rows: ShardedQuerySet[M]) -> Self:
        copy = type(self)(rows._chain(), self.group)
        copy._start, copy._stop = self._start, self._stop
        copy._columns, copy._flat = self._columns, self._flat
        return copy

    def _unsliced(self, verb: str) -> Self:
        if self._start or self._stop is not None:
            msg = f"Cannot {verb}() once a slice has been taken."
            raise TypeError(msg)
        return self

    def _backwards(self) -> Self:
        return self._with(_ordered(self._rows, ordering_of(self._rows).reversed().names))

    def _on_each_shard(self) -> Iterator[ShardedQuerySet[M]]:
        check_subqueries(self._rows.query, self.group, None)
        SCATTERED.emit(group=self.group, model=self.model.__name__)
        for alias in self.shards():
            yield self._rows.using(read_alias(alias))

    def _fetch(self) -> list[Any]:
        if self._found is None:
            self._found = list(self._merged(lambda rows: rows))
        return self._found

    def _merged(self, read: Any) -> Iterator[Any]:
        order = ordering_of(self._rows)
        answers = [read(self._pushed_down(rows, order)) for rows in self._on_each_shard()]
        if self._columns is None:
            return islice(merge(*answers, key=order.key_of_row), self._start, self._stop)
        width = len(self._columns)
        tuples = merge(*answers, key=lambda row: order.key(row[width:]))
        cut = islice(tuples, self._start, self._stop)
        return (row[0] if self._flat else row[:width] for row in cut)

    def _pushed_down(self, rows: ShardedQuerySet[M], order: Ordering) -> Any:
        rows = _ordered(rows, order.expressions)
        if self._columns is not None:
            # Aliased, since a column may be asked for and ordered by at once.
            keys = {f"scatter_{i}": models.F(name) for i, name in enumerate(order.attributes)}
            rows = rows.annotate(**keys).values_list(*self._columns, *keys)
        return rows if self._stop is None else rows[: self._stop]


def _ordered(rows: ShardedQuerySet[M], order: tuple[Any, ...]) -> ShardedQuerySet[M]:
    """Return `rows` in exactly this order, also where reverse() was called before."""
    rows = rows.order_by(*order)
    rows.query.standard_ordering = True
    return rows
