"""Each relation stays on its shard, or says that it does not."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)
from django.db.models import DO_NOTHING

from scalekit.db.sharding.declarations import declared_group, is_reference
from scalekit.db.sharding.relations import LooseForeignKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

    from scalekit.db.sharding.models import ShardedModel

APART = "are not in the same shard group"


def faults_of_relations(model: type[Model]) -> Iterator[CheckMessage]:
    """Refuse what a database would have to do in another: a sharded row and an unsharded one live apart."""
    fields: list[Any] = [f for f in model._meta.local_fields if f.related_model is not None]
    for field in fields:
        other = field.related_model
        if field.remote_field.parent_link or not _live_apart(model, other):
            continue
        between = f"{model.__name__} and {other.__name__} {APART}"
        has_constraint = field.db_constraint
        cascades = field.remote_field.on_delete is not DO_NOTHING
        if has_constraint:
            yield Error(
                f"{field} has a constraint between databases: {between}.",
                hint="Write a LooseForeignKey (from scalekit.db), or keep the other row's id in a column.",
                obj=field,
                id="scalekit.db.E016",
            )
        if cascades:
            yield Error(
                f"{field} would delete or change rows of another database: {between}.",
                hint="Write on_delete=models.DO_NOTHING and delete what is left over by yourself.",
                obj=field,
                id="scalekit.db.E017",
            )
        if not (has_constraint or cascades or isinstance(field, LooseForeignKey)):
            yield Warning(
                f"{field} lets queries on an unsharded model join rows of shards, which fails only in the database, or "
                f"finds what an old table there has: {between}.",
                hint="Write a LooseForeignKey (from scalekit.db), which refuses such joins when the query is built.",
                obj=field,
                id="scalekit.db.W038",
            )


def faults_of_pairs(model: type[Model]) -> Iterator[CheckMessage]:
    """Refuse a table of pairs whose two sides live apart: no database could join all three."""
    for field in model._meta.local_many_to_many:
        other: Any = field.related_model
        on_each_shard = declared_group(model) is not None and is_reference(other)
        if on_each_shard and not field.remote_field.db_constraint:
            continue
        if _live_apart(model, other):
            late = (
                f"Write db_constraint=False: {other.__name__}'s rows reach a shard a moment later."
            )
            pairs = "Write a model for the pairs, with the other row's id in a LooseForeignKey."
            yield Error(
                f"{field} needs a table between databases: {model.__name__} and {other.__name__} {APART}.",
                hint=late if on_each_shard else pairs,
                obj=field,
                id="scalekit.db.E016",
            )


def faults_of_parents(model: type[Model]) -> Iterator[CheckMessage]:
    """Refuse a row in two tables that live apart."""
    for parent in model._meta.parents:
        if not parent._meta.abstract and _live_apart(model, parent):
            yield Error(
                f"A {model.__name__} is a row of {parent.__name__}'s table too, and they {APART}.",
                hint=f"Make {parent.__name__} abstract, or give both one shard_group and shard_key.",
                obj=model,
                id="scalekit.db.E037",
            )


def faults_of_generic_relations(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    """Advise a generic relation that does not look for content types on a shard."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation

    from scalekit.db.sharding.generic import ShardedGenericForeignKey, ShardedGenericRelation

    for field in model._meta.private_fields:
        if isinstance(field, (ShardedGenericForeignKey, ShardedGenericRelation)):
            continue
        if isinstance(field, (GenericForeignKey, GenericRelation)):
            kind = type(field).__name__
            yield Warning(
                f"{model.__name__}.{field.name} looks for content types on the shard, where there are none.",
                hint=f"Write Sharded{kind} (from scalekit.db.sharding.generic).",
                obj=model,
                id="scalekit.db.W036",
            )


def _live_apart(model: type[Model], other: type[Model]) -> bool:
    return declared_group(model) != declared_group(other)
