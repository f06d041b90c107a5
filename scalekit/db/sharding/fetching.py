"""Read rows from the shard of a query, and prefetch for rows of several."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, models

from scalekit.db.conf import schemes
from scalekit.db.servers import read_alias
from scalekit.db.sharding.declarations import group_of
from scalekit.db.sharding.finding import FindsShard, M, T
from scalekit.db.sharding.lookups import named_by
from scalekit.db.sharding.mapping.staleness import retry_after
from scalekit.db.sharding.parallel import run_on_shards
from scalekit.db.sharding.prefetching import is_spread, prefetch_shards, prefetching_for
from scalekit.db.sharding.refusals import limited_over_shards
from scalekit.db.sharding.subqueries import check_subqueries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class FetchesRows(FindsShard[M]):
    """The reading half of a sharded queryset."""

    if TYPE_CHECKING:

        def scatter(self) -> Any: ...

    def _fetch_all(self) -> None:
        if self._hints and self._result_cache is None:
            self._fetch_prefetched()
        _read(super()._fetch_all)

    def _fetch_prefetched(self) -> None:
        """Fetch what hangs on rows of several shards from each of these; leave all else to Django."""
        group = self._unplaced_group()
        shards = None if group is None else self._shards_of_prefetch(group)
        if group is not None and shards is not None and len(shards) > 1:
            self._result_cache = self._from_each(group, shards)

    def _shards_of_prefetch(self, group: str) -> list[str] | None:
        """Return the shards on which hangs what this query prefetches; None if it prefetches nothing."""
        if schemes[group].spreads_itself:
            return None
        return prefetch_shards(self.query, group, self._hints, named_by(self.query, group))

    def _from_each(self, group: str, shards: list[str]) -> list[M]:
        """Return the rows of several shards for a prefetch, which itself gives each to the row it hangs on."""
        check_subqueries(self.query, group, None)
        instance = self._hints["instance"]
        if group_of(type(instance)) != group and is_spread(self.query, instance):
            return self._merged(shards)
        # What hangs on one row is of one shard, so the order between shards does not show.
        found = run_on_shards(shards, lambda alias: list(self.using(read_alias(alias))))
        return [row for rows in found.values() for row in rows]

    def _merged(self, shards: list[str]) -> list[M]:
        """Return the rows in the order asked for, where those of one unsharded row are of several shards."""
        if self.query.where.contains_over_clause:
            raise limited_over_shards(self.model)
        if self.query.order_by or (self.query.default_ordering and self.query.get_meta().ordering):
            return list(self.scatter())
        found = run_on_shards(shards, lambda alias: list(self.using(read_alias(alias))))
        return [row for rows in found.values() for row in rows]

    def _prefetch_related_objects(self) -> None:
        """Prefetch from the shards these rows came from, where their ids name none."""
        group = group_of(self.model)
        with nullcontext() if group is None else prefetching_for(self._result_cache or (), group):
            super()._prefetch_related_objects()  # type: ignore[misc]  # not in the stubs

    def _iterator(self, use_chunked_fetch: bool, chunk_size: int | None) -> Iterator[Any]:
        """Yield rows; from where they have moved to, if that shows before the first."""
        rows = self._streamed(use_chunked_fetch, chunk_size)

        def begin_again() -> list[Any]:
            nonlocal rows
            rows = self._streamed(use_chunked_fetch, chunk_size)
            return list(islice(rows, 1))

        try:
            first = list(islice(rows, 1))
        except DatabaseError as error:
            first = retry_after(error, begin_again)
        yield from first
        yield from rows

    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[M]:
        """Yield rows. The shard is found in a thread, as it may take a query: by a unique value, say."""
        placed = self
        if self._unplaced_group() is not None:
            placed = self.using(await sync_to_async(lambda: self.db)())
        async for row in super(FetchesRows, placed).aiterator(chunk_size):
            yield row

    def _streamed(self, use_chunked_fetch: bool, chunk_size: int | None) -> Iterator[Any]:
        group = group_of(self.model)
        if group is None or not self._prefetch_related_lookups or chunk_size is None:
            yield from super()._iterator(use_chunked_fetch, chunk_size)  # type: ignore[misc]  # not in the stubs
            return
        iterable: Any = self._iterable_class(self, use_chunked_fetch, chunk_size)
        rows = iter(iterable)
        while chunk := list(islice(rows, chunk_size)):
            with prefetching_for(chunk, group):
                models.prefetch_related_objects(chunk, *self._prefetch_related_lookups)
            yield from chunk

    def count(self) -> int:
        return _read(super().count)

    def exists(self) -> bool:
        return _read(super().exists)

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _read(partial(super().aggregate, *args, **kwargs))

    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, M]:
        """Return the rows by id, from the shards that the ids or the conditions name."""
        group = self._unplaced_group()
        if group is None or id_list is None:
            return super().in_bulk(id_list, field_name=field_name)
        ids = list(id_list)
        named = named_by(self.filter(**{f"{field_name}__in": ids}).query, group)
        shards = [self._primary_around(group)] if named is None else sorted(named.shards)
        check_subqueries(self.query, group, shards[0] if len(shards) == 1 else None)

        def read(alias: str) -> dict[Any, M]:
            rows = self.using(read_alias(alias))
            return models.QuerySet.in_bulk(rows, ids, field_name=field_name)

        found = run_on_shards(shards, read)
        return {key: row for rows in found.values() for key, row in rows.items()}


def _read(read: Callable[[], T]) -> T:
    """Call `read`, and again if rows have moved meanwhile: what that takes is not paid for before."""
    try:
        return read()
    except DatabaseError as error:
        return retry_after(error, read)
