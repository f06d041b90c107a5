"""Querysets that find their shard when they run."""
# ruff: noqa: SLF001 - other querysets of this class

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DatabaseError, connections, models

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.exceptions import LookupTaken
from scalekit.db.servers import read_alias
from scalekit.db.sharding import hot_keys
from scalekit.db.sharding.declarations import configured_group, declaration_of, group_of
from scalekit.db.sharding.joins import ShardedQuery, check_selected, check_union
from scalekit.db.sharding.lookup_index.claiming import (
    check_bulk,
    claimed,
    claimed_by_update,
    claimed_in_bulk,
)
from scalekit.db.sharding.lookups import is_plain, named_by, shards_of_query
from scalekit.db.sharding.mapping.staleness import is_stale, retry_when_stale
from scalekit.db.sharding.parallel import run_on_shards
from scalekit.db.sharding.placing import (
    AnyShard,
    home_of,
    primary_of,
    primary_of_context,
    primary_of_instance,
    required,
)
from scalekit.db.sharding.prefetching import is_spread, prefetch_shards, prefetching_for
from scalekit.db.sharding.refusals import key_is_fixed, limited_over_shards, several_shards
from scalekit.db.sharding.subqueries import check_subqueries
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")


class ShardedQuerySet(models.QuerySet[M]):
    """A queryset of a `ShardedModel`: an ordinary one until the model's group is configured.

    `failed` names the shards that are missing in the answer of ``scatter(partial=True)``.
    """

    failed: tuple[str, ...] = ()

    if TYPE_CHECKING:  # Django's own, which the stubs leave out
        _db: str | None
        _for_write: bool
        _hints: dict[str, Any]
        _prefetch_related_lookups: tuple[Any, ...]

        def _chain(self) -> Self: ...

    def __init__(
        self,
        model: type[M] | None = None,
        query: Any = None,
        using: str | None = None,
        hints: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model, query or ShardedQuery(model), using, hints)

    @property
    def db(self) -> str:
        """Return the database used if this query is executed now. Raises `ShardKeyRequired`."""
        group = group_of(self.model)
        if group is None:
            return super().db
        if self._is_placed:
            owner = current_cluster().owner.get(str(self._db))
            check_subqueries(self.query, group, owner, explicit=True)
            return str(self._db)
        primary = self._primary(group)
        return primary if self._for_write else read_alias(primary)

    @property
    def _is_placed(self) -> bool:
        return self._db is not None and not isinstance(self._db, AnyShard)

    def _unplaced_group(self) -> str | None:
        """Return the group whose shard is to be found, None where Django's own way is right."""
        return None if self._is_placed else group_of(self.model)

    def _primary(self, group: str) -> str:
        primary = self._named_primary(group)
        if not is_plain(self.query):
            check_subqueries(self.query, group, primary)
        return primary

    def _named_primary(self, group: str) -> str:
        scheme = schemes[group]
        if scheme.spreads_itself:
            return scheme.shards[0]
        named = named_by(self.query, group)
        shards = prefetch_shards(self.query, group, self._hints, named) if self._hints else None
        if shards is not None:
            return shards[0] if shards else scheme.shards[0]  # whose features Django asks for
        if named is None:
            return self._primary_around(group)
        found = named.sure()
        for condition in named.conditions:
            for key in condition.keys:
                hot_keys.seen(group, key)
        if len(found) > 1:
            raise several_shards(self.model, [alias for alias in scheme.shards if alias in found])
        # A query that can match nothing may ask any shard.
        return next(iter(found), scheme.shards[0])

    def _primary_around(self, group: str) -> str:
        """Return the shard of the row that this query hangs on, or of the block it is in."""
        instance = self._hints.get("instance")
        if instance is None:
            alias = primary_of_context(group)
        else:
            alias = primary_of(self.model, group, instance, for_write=False)
        if alias is None or isinstance(alias, AnyShard):
            raise required(self.model)
        return alias

    def _shards(self, group: str) -> list[str] | None:
        """Return the primaries that the conditions name, in the setting's order; None if they do not."""
        named = shards_of_query(self.query, group)
        return None if named is None else [a for a in schemes[group].shards if a in named]

    def scatter(self, *, partial: bool = False, seconds: float | None = None) -> Any:
        """Ask every shard, or those the conditions name, and merge the answers exactly.

        A shard that does not answer within `seconds` (SCALEKIT_DB_SCATTER_SECONDS; 0 is never) is an error
        that names it; with `partial`, rows of the others are given, and `failed` says which are missing.
        """
        from scalekit.db.sharding.scatter import scattered

        group = self._unplaced_group()
        if group is None or schemes[group].spreads_itself:
            return self._chain()
        return scattered(self, partial=partial, seconds=seconds)

    def after(self, row: Any) -> Self:
        """Return the rows that come after `row` in this order: an instance, a dict of values, or a `cursor()`.

        A page that begins here costs what the first does, whatever its number. The id decides between rows
        that are otherwise equal. Raises `CursorInvalid` for a cursor that is damaged or of another order.
        """
        from scalekit.db.sharding.scatter.keyset import rows_after

        return rows_after(self, row)  # type: ignore[no-any-return]  # of this class

    def cursor(self, row: Any) -> str:
        """Return the place of a row in this order as text for a URL, to be given to `after()`.

        It holds the row's values in the columns of the order, encoded and not encrypted.
        """
        from scalekit.db.sharding.scatter.keyset import cursor_of

        return cursor_of(self, row)

    def select_related(self, *fields: Any) -> Self:
        """Join related rows, those of the same shard alone. Raises `CrossShardQuery`."""
        selected = super().select_related(*fields)
        check_selected(selected.query)
        return selected

    def _combinator_query(self, combinator: str, *other_qs: Any, all: bool = False) -> Self:  # noqa: A002 - Django's name
        check_union(self.query, other_qs)
        return super()._combinator_query(combinator, *other_qs, all=all)  # type: ignore[misc,no-any-return]  # not in the stubs

    def _fetch_all(self) -> None:
        if self._hints and self._result_cache is None:
            self._fetch_prefetched()
        try:
            super()._fetch_all()
        except DatabaseError as error:
            if not is_stale(error):
                raise
            retry_when_stale(super()._fetch_all)

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
        return self._retried(super().count)

    def exists(self) -> bool:
        return self._retried(super().exists)

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self._retried(partial(super().aggregate, *args, **kwargs))

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

    def update(self, **kwargs: Any) -> int:
        """Update the rows of one shard, all but their key. Raises `WrongShard` for that."""
        return self._retried(lambda: self._update_rows(**kwargs))

    def _update_rows(self, **kwargs: Any) -> int:
        if group_of(self.model) is None:
            return super().update(**kwargs)
        key = declaration_of(self.model).own_key
        if key is not None and {key.name, key.attname} & kwargs.keys():
            raise key_is_fixed(self.model, key.name)
        self._check_values(kwargs)
        with claimed_by_update(self, kwargs):
            return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows of one shard, and what hangs on them there."""
        return self._retried(super().delete)

    def _retried(self, function: Callable[[], T]) -> T:
        """Call `function`, and again if the rows have moved to other databases meanwhile."""
        return function() if configured_group(self.model) is None else retry_when_stale(function)

    def _check_values(self, values: dict[str, Any]) -> None:
        """Look at subqueries among the new values as at any other."""
        computed = {
            f"new_value_of_{name}": value
            for name, value in values.items()
            if hasattr(value, "resolve_expression")
        }
        if computed:
            self.alias(**computed).db  # noqa: B018 - raises CrossShardQuery

    # Writes that Django routes before it knows the row.

    def create(self, **kwargs: Any) -> M:
        if self._unplaced_group() is None:
            return super().create(**kwargs)
        obj = self.model(**kwargs)
        obj.save(force_insert=True)
        return obj

    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[M, bool]:
        defaults = self._with_plain_key(defaults)

        def get_or_create() -> tuple[M, bool]:
            try:
                there = self._for_row(kwargs, defaults)
                return models.QuerySet.get_or_create(there, defaults, **kwargs)
            except LookupTaken:  # by another who has just created it, perhaps on another shard
                found = self.filter(**kwargs).first()
                if found is None:
                    raise
                return found, False

        return retry_when_stale(get_or_create)

    def update_or_create(
        self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any
    ) -> tuple[M, bool]:
        defaults = self._with_plain_key(defaults)
        create_defaults = self._with_plain_key(create_defaults)
        both = {**(defaults or {}), **(create_defaults or {})}
        return retry_when_stale(
            lambda: models.QuerySet.update_or_create(
                self._for_row(kwargs, both), defaults, create_defaults, **kwargs
            )
        )

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert the rows, each on its shard, all shards at once: one transaction a shard, not one for all."""
        objs = list(objs)

        check_bulk(self.model, *args, **kwargs)

        def insert(rows: Self, part: list[M]) -> None:
            with claimed(part, rows._db):
                models.QuerySet.bulk_create(rows, part, *args, **kwargs)

        self._on_each_shard(objs, insert)
        return objs

    def bulk_update(self, objs: Iterable[M], fields: Sequence[str], **kwargs: Any) -> int:  # type: ignore[override]  # batch_size passes through
        """Update the rows, each on its shard, all shards at once: one transaction a shard, not one for all."""

        def write(rows: Self, part: list[M]) -> int:
            with claimed_in_bulk(part, rows._db, fields):
                return models.QuerySet.bulk_update(rows, part, fields, **kwargs)

        return sum(self._on_each_shard(list(objs), write))

    def _on_each_shard(self, objs: list[M], work: Callable[[Self, list[M]], T]) -> list[T]:
        """Return what `work` returns for this queryset on each shard that rows belong to, with those rows."""
        group = group_of(self.model)
        if group is None:
            return self._retried(lambda: self._on_one(objs, work))
        parts = self._by_shard(objs, group)

        def write(alias: str) -> T:
            return work(self.using(alias), parts[alias])

        if any(is_open(connections[alias]) for alias in schemes[group].shards):
            # In one thread: the caller's transaction is to hold, or refuse, all of it.
            return [write(alias) for alias in parts]
        return list(run_on_shards(parts, write).values())

    def _on_one(self, objs: list[M], work: Callable[[Self, list[M]], T]) -> list[T]:
        """Work on the one database of a group whose rows still lie unsharded, unless that has just ended."""
        return self._on_each_shard(objs, work) if group_of(self.model) else [work(self, objs)]

    def _by_shard(self, objs: list[M], group: str) -> dict[str, list[M]]:
        using = str(self._db) if self._is_placed else None
        parts: dict[str, list[M]] = {}
        for obj in objs:
            parts.setdefault(home_of(obj, group, using), []).append(obj)
        return parts

    def _for_row(self, lookup: dict[str, Any], defaults: Any) -> Self:
        """Return this queryset on the shard that the conditions of a lookup name, or its new row."""
        group = self._unplaced_group()
        if group is None:
            return self._chain()
        found = self.filter(**lookup)
        if found._shards(group):
            return self.using(found._primary(group))
        alias = primary_of_instance(self.model(**self._placing(defaults)), group)
        return self.using(alias or found._primary(group))

    def _placing(self, values: Any) -> dict[str, Any]:
        """Return those of a new row's values that say where it lies."""
        declaration = declaration_of(self.model)
        names = {
            name for f in (*declaration.path[:1], *declaration.ids) for name in (f.name, f.attname)
        }
        return {name: value for name, value in (values or {}).items() if name in names}

    def _with_plain_key(self, defaults: Any) -> Any:
        """Call a default of the key once, so that the row is placed by the value it gets."""
        called = {n: v() for n, v in self._placing(defaults).items() if callable(v)}
        return {**defaults, **called} if called else defaults

    delete.alters_data = True  # type: ignore[attr-defined]  # templates must not call these
    update.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    get_or_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    update_or_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    bulk_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    bulk_update.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates


class ShardedManager(models.Manager.from_queryset(ShardedQuerySet)):  # type: ignore[misc]  # made by Django
    """The manager of sharded models; build your own from `ShardedQuerySet`."""
