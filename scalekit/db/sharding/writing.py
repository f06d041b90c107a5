"""Write rows, each to its own shard."""
# ruff: noqa: SLF001 - other querysets of this class

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, models

from scalekit.db.conf import schemes
from scalekit.db.exceptions import LookupTaken
from scalekit.db.sharding.declarations import declaration_of, group_of
from scalekit.db.sharding.fetching import FetchesRows
from scalekit.db.sharding.finding import M
from scalekit.db.sharding.lookup_index.claiming import (
    check_bulk,
    claimed,
    claimed_by_update,
    claimed_in_bulk,
    lookup_fields,
)
from scalekit.db.sharding.lookups import slots_of_query
from scalekit.db.sharding.mapping.staleness import retry_when_stale
from scalekit.db.sharding.parallel import run_on_shards
from scalekit.db.sharding.placing import home_of, primary_of_instance, slot_of_value
from scalekit.db.sharding.refusals import key_differs, key_is_fixed
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

T = TypeVar("T")


class WritesRows(FetchesRows[M]):
    """The writing half of a sharded queryset."""

    def update(self, **kwargs: Any) -> int:
        """Update the rows of one shard, all but their key. Raises `WrongShard` for that."""
        return self._retried(lambda: self._update_rows(**kwargs))

    def _update_rows(self, **kwargs: Any) -> int:
        group = group_of(self.model)
        if group is None:
            return super().update(**kwargs)
        key = declaration_of(self.model).own_key
        if key is not None and {key.name, key.attname} & kwargs.keys():
            raise key_is_fixed(self.model, key.name)
        self._check_values(kwargs)
        self._check_relations(kwargs, group)
        with claimed_by_update(self, kwargs) as rows:
            return models.QuerySet.update(rows, **kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows of one shard, and what hangs on them there."""
        return self._retried(super().delete)

    def _check_values(self, values: dict[str, Any]) -> None:
        """Look at subqueries among the new values as at any other."""
        computed = {
            f"new_value_of_{name}": value
            for name, value in values.items()
            if hasattr(value, "resolve_expression")
        }
        if computed:
            self.alias(**computed).db  # noqa: B018 - raises CrossShardQuery

    def _check_relations(self, values: dict[str, Any], group: str) -> None:
        """Refuse to hang rows on one of another key, as a related manager's `add()` would: they move apart."""
        for field in declaration_of(self.model).ids:
            value = values.get(field.name, values.get(field.attname))
            slot = None if field.primary_key else slot_of_value(field, value)
            if slot is not None and slots_of_query(self.query, group) - {
                slot % schemes[group].slots
            }:
                raise key_differs(self.model, field.name)

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

        def write(alias: str) -> list[T]:
            return self._write_part(group, alias, parts[alias], work)

        if any(is_open(connections[alias]) for alias in schemes[group].shards):
            # In one thread: the caller's transaction is to hold, or refuse, all of it.
            done = [write(alias) for alias in parts]
        else:
            done = list(run_on_shards(parts, write).values())
        return [result for results in done for result in results]

    def _write_part(
        self, group: str, alias: str, rows: list[M], work: Callable[[Self, list[M]], T]
    ) -> list[T]:
        """Write the rows of one shard; where their slots have moved meanwhile, those of each to its own."""
        placed = {alias: rows}

        def write() -> list[T]:
            nonlocal placed
            now, placed = placed or self._by_shard(rows, group), {}
            return [work(self.using(there), part) for there, part in now.items()]

        return retry_when_stale(write)

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
        named = found._primary(group) if found._shards(group) else None
        if named is not None and not lookup_fields(self.model):
            return self.using(named)
        home = primary_of_instance(self.model(**self._placing(defaults)), group)
        # A unique value may lead to where its row never came to be: what has begun is not always committed.
        if named is not None and (home in {None, named} or found.using(named).exists()):
            return self.using(named)
        return self.using(home or found._primary(group))

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
