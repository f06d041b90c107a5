"""Querysets that find their shard when they run."""
# ruff: noqa: SLF001 - other querysets of this class

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.servers import read_alias
from scalekit.db.sharding.lookups import lists_others, slots_of_query
from scalekit.db.sharding.placing import (
    UNDECIDED,
    beside,
    declared_key,
    group_of,
    home_of,
    primary_of,
    primary_of_context,
    primary_of_instance,
    required,
)
from scalekit.db.sharding.refusals import key_is_fixed, several_shards, subquery_elsewhere
from scalekit.db.sharding.subqueries import check_subqueries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from scalekit.db.sharding.scatter import ScatterQuerySet

M = TypeVar("M", bound=models.Model)


class ShardedQuerySet(models.QuerySet[M]):
    """A queryset of a `ShardedModel`: an ordinary one until the model's group is configured."""

    if TYPE_CHECKING:  # Django's own, which the stubs leave out
        _db: str | None
        _for_write: bool
        _hints: dict[str, Any]

        def _chain(self) -> Self: ...

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
        return self._db is not None and self._db != UNDECIDED

    def _unplaced_group(self) -> str | None:
        """Return the group whose shard is to be found, None where Django's own way is right."""
        return None if self._is_placed else group_of(self.model)

    def _primary(self, group: str) -> str:
        primary = self._named_primary(group)
        check_subqueries(self.query, group, primary)
        return primary

    def _named_primary(self, group: str) -> str:
        shards = self._shards(group)
        if shards is None:
            instance = self._hints.get("instance")
            if instance is not None and not lists_others(self.query, instance):
                return primary_of(self.model, group, instance, for_write=False)
            context = primary_of_context(group)
            if context is None:
                raise required(self.model)
            return context
        if len(shards) > 1:
            raise several_shards(self.model, shards)
        # A query that can match nothing may ask any shard.
        return shards[0] if shards else schemes[group].shards[0]

    def _shards(self, group: str) -> list[str] | None:
        """Return the primaries that the conditions name, in the setting's order; None if they do not."""
        scheme = schemes[group]
        slots = slots_of_query(self.query, scheme)
        if slots is None:
            return None
        named = {scheme.shard_for_slot(slot) for slot in slots}
        return [alias for alias in scheme.shards if alias in named]

    def scatter(self) -> ScatterQuerySet[M] | Self:
        """Ask every shard, or those the conditions name, and merge the answers exactly."""
        from scalekit.db.sharding.scatter import ScatterQuerySet

        group = self._unplaced_group()
        if group is None:
            return self._chain()
        return ScatterQuerySet(self._chain(), group)

    def resolve_expression(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Stand as a subquery, in queries on the same shards alone."""
        group = group_of(self.model)
        if group is not None and group_of(query.model) != group:
            raise subquery_elsewhere(query.model, self.model)
        return super().resolve_expression(query, *args, **kwargs)

    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, M]:
        """Return the rows by id, from the one shard that the ids or the conditions name."""
        if self._unplaced_group() is None or id_list is None:
            return super().in_bulk(id_list, field_name=field_name)
        ids = list(id_list)
        there = self.using(self.filter(**{f"{field_name}__in": ids}).db)
        return models.QuerySet.in_bulk(there, ids, field_name=field_name)

    def update(self, **kwargs: Any) -> int:
        """Update the rows of one shard, all but their key. Raises `WrongShard` for that."""
        key = declared_key(self.model)
        if group_of(self.model) is not None and key is not None:
            field = self.model._meta.get_field(key)
            if {field.name, getattr(field, "attname", key)} & kwargs.keys():
                raise key_is_fixed(self.model, key)
        self._check_values(kwargs)
        return super().update(**kwargs)

    def _check_values(self, values: dict[str, Any]) -> None:
        """Look at subqueries among the new values as at any other."""
        computed = {
            f"new_value_of_{name}": value
            for name, value in values.items()
            if hasattr(value, "resolve_expression")
        }
        if computed and group_of(self.model) is not None:
            self.alias(**computed).db  # noqa: B018 - raises CrossShardQuery

    def _prefetch_related_objects(self) -> None:
        """Prefetch from the shard these rows came from, where their ids name none."""
        first = next(iter(self._result_cache or ()), None)
        with beside(first) if isinstance(first, models.Model) else nullcontext():
            super()._prefetch_related_objects()  # type: ignore[misc]  # not in the stubs

    # Writes that Django routes before it knows the row.

    def create(self, **kwargs: Any) -> M:
        group = self._unplaced_group()
        if group is None:
            return super().create(**kwargs)
        obj = self.model(**kwargs)
        obj.save(force_insert=True, using=home_of(obj, group))
        return obj

    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[M, bool]:
        defaults = self._with_plain_key(defaults)
        return models.QuerySet.get_or_create(self._for_row(kwargs, defaults), defaults, **kwargs)

    def update_or_create(
        self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any
    ) -> tuple[M, bool]:
        defaults = self._with_plain_key(defaults)
        create_defaults = self._with_plain_key(create_defaults)
        there = self._for_row(kwargs, {**(defaults or {}), **(create_defaults or {})})
        return models.QuerySet.update_or_create(there, defaults, create_defaults, **kwargs)

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert the rows, each on its shard: one transaction a shard, not one for all."""
        objs = list(objs)
        for alias, rows in self._by_shard(objs):
            models.QuerySet.bulk_create(self.using(alias), rows, *args, **kwargs)
        return objs

    def bulk_update(self, objs: Iterable[M], fields: Sequence[str], **kwargs: Any) -> int:  # type: ignore[override]  # batch_size passes through
        """Update the rows, each on its shard: one transaction a shard, not one for all."""
        parts = self._by_shard(list(objs))
        return sum(
            models.QuerySet.bulk_update(self.using(alias), rows, fields, **kwargs)
            for alias, rows in parts
        )

    def _for_row(self, lookup: dict[str, Any], defaults: Any) -> Self:
        """Return this queryset on the shard that the conditions of a lookup name, or its new row."""
        group = self._unplaced_group()
        if group is None:
            return self._chain()
        found = self.filter(**lookup)
        if found._shards(group) is not None:
            return self.using(found._primary(group))
        key = declared_key(self.model)
        named = {name: value for name, value in (defaults or {}).items() if name == key}
        alias = primary_of_instance(self.model(**named), group) if named else None
        return self.using(alias or found._primary(group))

    def _with_plain_key(self, defaults: Any) -> Any:
        """Call a default of the key once, so that the row is placed by the value it gets."""
        key = declared_key(self.model)
        if not defaults or not callable(defaults.get(key)):
            return defaults
        return {**defaults, key: defaults[key]()}

    def _by_shard(self, objs: list[M]) -> list[tuple[str | None, list[M]]]:
        group = group_of(self.model)
        if group is None:
            return [(self._db, objs)]
        using = self._db if self._is_placed else None
        parts: dict[str | None, list[M]] = {}
        for obj in objs:
            parts.setdefault(home_of(obj, group, using), []).append(obj)
        return list(parts.items())

    update.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    create.alters_data = True  # type: ignore[attr-defined]  # templates must not call these
    get_or_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    update_or_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    bulk_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    bulk_update.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates


class ShardedManager(models.Manager.from_queryset(ShardedQuerySet)):  # type: ignore[misc]  # made by Django
    """The manager of sharded models; build your own from `ShardedQuerySet`."""
