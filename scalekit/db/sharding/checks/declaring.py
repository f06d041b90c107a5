"""Each row names its shard."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)
from django.db import models

from scalekit.db.sharding.declarations import key_path, pointed_at
from scalekit.db.sharding.queryset import ShardedQuerySet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.db.sharding.models import ShardedModel

# What is no text that stays the same for ever: 1.0 and 1, 1.50 and 1.5, a date in two time zones.
SEVERAL_TEXTS = (
    models.FloatField,
    models.DecimalField,
    models.JSONField,
    models.BooleanField,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.BinaryField,
)


def faults_of_declaration(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    name = model.__name__
    if not model.shard_group or not model.shard_key:
        yield Error(
            f"{name} is a ShardedModel without shard_group or shard_key.",
            hint=f'Write in {name}: shard_group, shard_key = "users", "owner_id".',
            obj=model,
            id="scalekit.db.E012",
        )
    elif not key_path(model):
        columns = ", ".join(field.attname for field in model._meta.concrete_fields)
        yield Error(
            f"{name}.shard_key is {model.shard_key!r}, which is no column of it.",
            hint=f"Columns are: {columns}; or write a path over foreign keys to rows of the same shard.",
            obj=model,
            id="scalekit.db.E013",
        )
    else:
        yield from _faults_of_key(model)
    yield from _faults_of_managers(model)
    if model._meta.auto_field is not None:
        yield Error(
            f"{name}.{model._meta.pk.name} is counted by each shard on its own, so it would repeat.",
            hint="Write id = SnowflakeField(primary_key=True).",
            obj=model,
            id="scalekit.db.E015",
        )


def _faults_of_key(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    for field in key_path(model):
        if field.null:
            yield Warning(
                f"{model.__name__}.shard_key leads over {field}, which may be NULL: such a row cannot be saved.",
                hint="Remove null=True.",
                obj=model,
                id="scalekit.db.W037",
            )
    column: Any = pointed_at(key_path(model)[-1])
    if isinstance(column, SEVERAL_TEXTS) or getattr(column, "generated", False):
        yield Error(
            f"{model.__name__}.shard_key cannot place a row for ever: {column} is a {type(column).__name__}.",
            hint="Write an integer, a text or a UUID as the key.",
            obj=model,
            id="scalekit.db.E036",
        )


def _faults_of_managers(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    for manager in model._meta.managers:
        if not isinstance(manager.get_queryset(), ShardedQuerySet):
            yield Error(
                f"{model.__name__}.{manager.name} is a manager that does not find shards.",
                hint="Build it from ShardedManager or ShardedQuerySet (scalekit.db.sharding.queryset).",
                obj=model,
                id="scalekit.db.E014",
            )
