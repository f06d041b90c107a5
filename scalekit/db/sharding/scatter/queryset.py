"""A queryset over all shards of a group."""
# ruff: noqa: SLF001 - other querysets of this class, and those they stand for

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, models

from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.declarations import group_of
from scalekit.db.sharding.parallel import run_on_shards
from scalekit.db.sharding.queryset import ShardedQuerySet
from scalekit.db.sharding.scatter import reading
from scalekit.db.sharding.scatter.grouping import is_grouped
from scalekit.db.sharding.scatter.ordering import sorts_of
from scalekit.db.sharding.scatter.refusals import cannot_do
from scalekit.db.sharding.scatter.summing import aggregated
from scalekit.db.sharding.subqueries import check_subqueries
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

M = TypeVar("M", bound=models.Model)


class ScatterQuerySet(ShardedQuerySet[M]):
    """A queryset that asks every shard, or those its conditions name, and merges the answers exactly.

    Rows that are equal in the order asked for are ordered by id. ORDER BY and LIMIT are done by the
    shards, so a slice reads at most offset + limit rows from each. What one database would answer
    otherwise is refused: `ScatterUnsupported` says why, and what to write.

    `failed` names the shards that are missing in the answer of ``scatter(partial=True)``.
    """

    _partial = False
    _seconds: float | None = None

    if TYPE_CHECKING:  # Django's own, which the stubs leave out
        _result_cache: Any
        _prefetch_done: bool
        _prefetch_related_lookups: Any

    def __reduce__(self) -> Any:
        return _unpickled, (_plain_class(type(self)),), self.__getstate__()

    def _clone(self) -> Self:
        copy = super()._clone()  # type: ignore[misc]  # not in the stubs
        copy._partial, copy._seconds = self._partial, self._seconds
        return copy  # type: ignore[no-any-return]  # of this class

    # Which databases.

    @property
    def group(self) -> str:
        return str(group_of(self.model))

    @property
    def db(self) -> str:
        """Return a database whose features Django may ask for; no query of all shards runs by it alone."""
        check_subqueries(self.query, self.group, None)
        return next(iter(self.shards()), schemes[self.group].shards[0])

    def shards(self) -> list[str]:
        """Return the aliases of the primaries whose shards are asked."""
        named = self._shards(self.group)
        return list(schemes[self.group].shards) if named is None else named

    def scatter(self, *, partial: bool | None = None, seconds: float | None = None) -> Self:
        copy = self._chain()
        copy._partial = self._partial if partial is None else partial
        copy._seconds = self._seconds if seconds is None else seconds
        return copy

    def using(self, alias: str | None) -> Any:
        """Ask the shard behind `alias` alone."""
        asked = super().using(alias)
        return asked.on_one_shard() if asked._is_placed else asked

    def on_one_shard(self) -> ShardedQuerySet[M]:
        """Return an ordinary queryset for the same rows, which finds its shard by itself."""
        copy = self._chain()
        copy.__class__ = _plain_class(type(self))
        return copy

    @property
    def patience(self) -> float | None:
        """The seconds after which a shard has failed, None for ever."""
        return (settings.SCATTER_SECONDS if self._seconds is None else self._seconds) or None

    def order_by(self, *field_names: Any) -> Self:
        ordered = super().order_by(*field_names)
        sorts_of(ordered.query)  # refuse now, where the mistake stands
        return ordered

    @property
    def ordered(self) -> bool:
        """Return whether rows have an order: they do without being told, that of the id."""
        return not is_grouped(self) or bool(super().ordered)

    # Reading.

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._result_cache = reading.rows_of(self)
        if self._prefetch_related_lookups and not self._prefetch_done:
            self._prefetch_related_objects()

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        """Read row by row, holding `chunk_size` rows of each shard and as many that are on their way."""
        if chunk_size is None and self._prefetch_related_lookups:
            raise ValueError(
                "chunk_size must be provided when using iterator() after prefetch_related()."
            )
        if chunk_size is not None and chunk_size <= 0:
            raise ValueError("Chunk size must be strictly positive.")
        size = 2000 if chunk_size is None else chunk_size
        return self._prefetched(reading.stream_of(self, size), size)

    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Any]:
        rows = self.iterator(chunk_size)
        try:
            while found := await sync_to_async(lambda: list(islice(rows, chunk_size)))():
                for row in found:
                    yield row
        finally:
            await sync_to_async(rows.close)()  # type: ignore[attr-defined]  # a generator

    def _prefetched(self, rows: Iterator[Any], size: int) -> Iterator[Any]:
        try:
            if not self._prefetch_related_lookups:
                yield from rows
                return
            while found := list(islice(rows, size)):
                holder = self._chain()
                holder._result_cache = found
                holder._prefetch_related_objects()
                yield from found
        finally:
            rows.close()  # type: ignore[attr-defined]  # a generator

    def count(self) -> int:
        return reading.count_of(self) if self._result_cache is None else len(self._result_cache)

    def exists(self) -> bool:
        return reading.any_of(self) if self._result_cache is None else bool(self._result_cache)

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return aggregates over the rows of all shards.

        Exact are Count, Sum, Avg, Min, Max, StdDev and Variance, with filter= and default=, and with
        distinct=True. Sums of floats depend on the order of addition, here as on one database.
        """
        return aggregated(self, args, kwargs)

    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, M]:
        return models.QuerySet.in_bulk(self, id_list, field_name=field_name)

    def explain(self, *, format: str | None = None, **options: Any) -> str:  # noqa: A002 - Django's name
        """Return the plan of each shard, under its alias."""
        plans = reading.asked(self, lambda part: part.explain(format=format, **options), "explain")
        return "\n".join(f"{alias}:\n{plan}" for alias, plan in plans.items())

    # Writing.

    def update(self, **kwargs: Any) -> int:
        """Update the rows of every shard: one transaction a shard, not one for all."""
        self._check_values(kwargs)
        return sum(self._written("update", lambda part: part.update(**kwargs)))

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows of every shard and what hangs on them: one transaction a shard, not one for all."""
        deleted = self._written("delete", lambda part: part.delete())
        self._result_cache = None
        by_model: dict[str, int] = {}
        for _, counts in deleted:
            for name, count in counts.items():
                by_model[name] = by_model.get(name, 0) + count
        return sum(count for count, _ in deleted), by_model

    def _written(self, verb: str, write: Any) -> list[Any]:
        if self._partial:
            why = "nobody would know which rows were left as they are"
            raise cannot_do(self.model, f"partial {verb}()", why, "leave out partial=True")
        check_subqueries(self.query, self.group, None)
        part = self.on_one_shard()
        if any(is_open(connections[alias]) for alias in schemes[self.group].shards):
            # In one thread: the caller's transaction is to hold, or refuse, all of it.
            return [write(part.using(alias)) for alias in self.shards()]
        return list(run_on_shards(self.shards(), lambda alias: write(part.using(alias))).values())

    # One row goes to one shard, which an ordinary queryset finds.

    def create(self, **kwargs: Any) -> M:
        return self.on_one_shard().create(**kwargs)

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[M]:
        return self.on_one_shard().bulk_create(*args, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        return self.on_one_shard().bulk_update(*args, **kwargs)

    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[M, bool]:
        return self.on_one_shard().get_or_create(defaults, **kwargs)

    def update_or_create(
        self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any
    ) -> tuple[M, bool]:
        return self.on_one_shard().update_or_create(defaults, create_defaults, **kwargs)

    # What no merge makes exact.

    def _combinator_query(self, combinator: str, *other_qs: Any, all: bool = False) -> Self:  # noqa: A002, ARG002 - Django's
        why = "rows of one part may be on other shards than those of the other"
        raise cannot_do(self.model, f"{combinator}()", why, "combine conditions with Q objects")

    def raw(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - Django's
        why = "what SQL asks for is not known here"
        raise cannot_do(self.model, "raw()", why, "run it per shard with on_every_shard()")


def scattered(
    rows: ShardedQuerySet[M], *, partial: bool, seconds: float | None
) -> ScatterQuerySet[M]:
    """Return `rows` over all shards. Raises `ScatterUnsupported` for a union."""
    if rows.query.combinator:
        why = "rows of one part may be on other shards than those of the other"
        raise cannot_do(
            rows.model, f"{rows.query.combinator}()", why, "combine conditions with Q objects"
        )
    copy: Any = rows._chain()
    copy.__class__ = scatter_class(type(rows))
    copy._partial, copy._seconds = partial, seconds
    return copy  # type: ignore[no-any-return]  # by now


@cache
def scatter_class(kind: Any) -> type[Any]:
    """Return the class for scattered querysets of a class, whose own methods they keep."""
    return type(f"Scatter{kind.__name__}", (ScatterQuerySet, kind), {"__module__": kind.__module__})


def _plain_class(kind: Any) -> Any:
    return kind.__mro__[2]


def _unpickled(kind: Any) -> Any:
    made: Any = scatter_class(kind)
    return made.__new__(made)
