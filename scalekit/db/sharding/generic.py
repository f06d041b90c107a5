"""Generic relations of sharded models: their content types stay on the default database.

    from scalekit.db.sharding.generic import ShardedGenericForeignKey, ShardedGenericRelation

Django looks for the content type on the database that a row came from. A shard has none of them, and if it
had, their ids would differ from shard to shard.
"""
# ruff: noqa: SLF001 - _state, _meta and _base_manager are Django's documented API

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.fields import (
    GenericForeignKey,
    GenericRelation,
    ReverseGenericManyToOneDescriptor,
)
from django.contrib.contenttypes.models import ContentType

from scalekit.db.sharding.declarations import group_of, holds_id


class ShardedGenericForeignKey(GenericForeignKey):
    """A generic foreign key of a sharded model: to rows of its own shard, of others, and to unsharded ones.

    Rows of other shards are found by their id, if that holds a slot (`SnowflakeField`, `UUIDv7Field`).
    """

    def get_content_type(
        self,
        obj: Any = None,
        id: Any = None,  # noqa: A002 - Django's name
        using: Any = None,  # noqa: ARG002 - Django's contract
        model: Any = None,
    ) -> Any:
        if id is not None:
            return _RoutedType(ContentType.objects.get_for_id(id))
        return ContentType.objects.get_for_model(
            model if obj is None else obj, for_concrete_model=self.for_concrete_model
        )


class ShardedGenericRelation(GenericRelation):
    """The other way round: the rows that point to a sharded row, on its own shard."""

    def contribute_to_class(self, cls: Any, name: str, **kwargs: Any) -> None:  # type: ignore[override]  # private_only passes through
        super().contribute_to_class(cls, name, **kwargs)
        if not cls._meta.abstract:
            setattr(cls, self.name, _RoutedDescriptor(self.remote_field))  # type: ignore[arg-type]  # a generic one

    def bulk_related_objects(self, objs: Any, using: str = "default") -> Any:
        know_content_type(using, self.model, for_concrete_model=self.for_concrete_model)
        return super().bulk_related_objects(objs, using)


def know_content_type(alias: str, model: Any, *, for_concrete_model: bool) -> None:
    """Let Django find a model's content type, with the id it has on the default database, for rows of a shard."""
    types = ContentType.objects
    found = types.get_for_model(model, for_concrete_model=for_concrete_model)
    types._add_to_cache(alias, found)  # type: ignore[attr-defined]  # its own way of sparing the query


class _RoutedDescriptor(ReverseGenericManyToOneDescriptor):
    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is not None and instance._state.db is not None:
            concrete = self.field.for_concrete_model  # type: ignore[attr-defined]  # a generic relation's
            know_content_type(instance._state.db, instance, for_concrete_model=concrete)
        return super().__get__(instance, cls)


class _RoutedType:
    """A content type whose rows are found where they are, and not where the row lies that points to them."""

    def __init__(self, found: ContentType) -> None:
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def get_object_for_this_type(self, using: str | None = None, **kwargs: Any) -> Any:
        model: Any = self._found.model_class()
        lies_beside = group_of(model) is not None and not holds_id(model._meta.pk)
        return model._base_manager.using(using if lies_beside else None).get(**kwargs)

    def get_all_objects_for_this_type(self, **kwargs: Any) -> Any:
        model: Any = self._found.model_class()
        rows = model._base_manager.all()
        return (rows if group_of(model) is None else rows.scatter()).filter(**kwargs)
