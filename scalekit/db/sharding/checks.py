"""System checks of models: each row can be placed, each relation stays on its shard."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DO_NOTHING

from scalekit.db.sharding.models import ShardedModel
from scalekit.db.sharding.placing import declared_group
from scalekit.db.sharding.queryset import ShardedQuerySet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model


def faults_of_model(model: type[Model]) -> Iterator[CheckMessage]:
    if issubclass(model, ShardedModel):
        yield from _faults_of_declaration(model)
    yield from _faults_of_relations(model)
    yield from _faults_of_pairs(model)


def _faults_of_declaration(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    name = model.__name__
    if not model.shard_group or not model.shard_key:
        yield Error(
            f"{name} is a ShardedModel without shard_group or shard_key.",
            hint=f'Write in {name}: shard_group, shard_key = "users", "owner_id".',
            obj=model,
            id="scalekit.db.E012",
        )
    elif not _is_column(model, model.shard_key):
        columns = ", ".join(field.attname for field in model._meta.concrete_fields)
        yield Error(
            f"{name}.shard_key is {model.shard_key!r}, which is no column of it.",
            hint=f"Columns are: {columns}.",
            obj=model,
            id="scalekit.db.E013",
        )
    for manager in model._meta.managers:
        if not isinstance(manager.get_queryset(), ShardedQuerySet):
            yield Error(
                f"{name}.{manager.name} is a manager that does not find shards.",
                hint="Build it from ShardedManager or ShardedQuerySet (scalekit.db.sharding.queryset).",
                obj=model,
                id="scalekit.db.E014",
            )
    if model._meta.auto_field is not None:
        yield Error(
            f"{name}.{model._meta.pk.name} is counted by each shard on its own, so it would repeat.",
            hint="Write id = SnowflakeField(primary_key=True).",
            obj=model,
            id="scalekit.db.E015",
        )


def _is_column(model: type[Model], name: str) -> bool:
    try:
        return bool(model._meta.get_field(name).concrete)
    except FieldDoesNotExist:
        return False


def _faults_of_pairs(model: type[Model]) -> Iterator[CheckMessage]:
    """Refuse a table of pairs whose two sides live apart: no database could join all three."""
    for field in model._meta.local_many_to_many:
        other = field.related_model
        if declared_group(model) != declared_group(other):
            yield Error(
                f"{field} needs a table between databases: {model.__name__} and {other.__name__} are not in "
                "the same shard group.",
                hint="Write a model for the pairs, with the other row's id in a BigIntegerField.",
                obj=field,
                id="scalekit.db.E016",
            )


def _faults_of_relations(model: type[Model]) -> Iterator[CheckMessage]:
    """Refuse what a database would have to do in another: a sharded row and an unsharded one live apart."""
    fields: Iterable[Any] = model._meta.local_fields
    for field in fields:
        other = field.related_model
        if other is None or declared_group(model) == declared_group(other):
            continue
        between = f"{model.__name__} and {other.__name__} are not in the same shard group"
        if getattr(field, "db_constraint", False):
            yield Error(
                f"{field} has a constraint between databases: {between}.",
                hint="Add db_constraint=False, or keep the other row's id in a BigIntegerField.",
                obj=field,
                id="scalekit.db.E016",
            )
        if field.remote_field.on_delete is not DO_NOTHING:
            yield Error(
                f"{field} would delete or change rows of another database: {between}.",
                hint="Write on_delete=models.DO_NOTHING and delete what is left over by yourself.",
                obj=field,
                id="scalekit.db.E017",
            )
