"""What a model calls unique is so over all shards, or the model says that a shard is enough."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models
from django.db.models.expressions import F

from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.checks.declaring import SEVERAL_TEXTS
from scalekit.db.sharding.declarations import (
    declaration_of,
    declared_group,
    key_path,
    pointed_at,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from scalekit.db.sharding.models import ShardedModel

VENDORS = {"postgresql", "sqlite"}  # whose locks and upserts the index of unique values uses


def faults_of_uniqueness(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    """Find what each shard would check for its own rows alone."""
    for name, fields in _unique(model):
        if not _is_unique_everywhere(model, fields) and name not in model.unique_within_shard:
            columns = ", ".join(sorted(field.name for field in fields)) or name
            yield Error(
                f"{model.__name__} has {name} unique within each shard alone: no two rows of one shard have the same "
                f"{columns}, but those of two shards may.",
                hint=f'{_remedy(name, fields)} If a shard is enough, write unique_within_shard = ["{name}"].',
                obj=model,
                id="scalekit.db.E035",
            )


def _remedy(name: str, fields: Collection[Any]) -> str:
    if any(field.primary_key for field in fields):
        return "Write id = SnowflakeField(primary_key=True), or a UUIDv7Field."
    if len(fields) == 1:
        return f'Write shard_lookups = ["{name}"], an index over all shards, or add the shard key to the constraint.'
    return "Add the shard key to the constraint."


def faults_of_lookups(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    """Find columns of which no index over all shards can be kept."""
    for name in model.shard_lookups:
        why = _why_not_looked_up(model, name)
        if why:
            yield Error(
                f"{model.__name__}.shard_lookups has {name!r}, which {why}.",
                hint="Name columns with unique=True, not the key, the id, or relations.",
                obj=model,
                id="scalekit.db.E038",
            )
    if model.shard_lookups and model.shard_group in settings.SHARDING:
        aliases = {"default", *schemes[model.shard_group].shards}
        others = sorted(
            a for a in aliases if a in connections and connections[a].vendor not in VENDORS
        )
        if others:
            yield Error(
                f"{model.__name__}.shard_lookups cannot be kept: {', '.join(others)} is neither PostgreSQL nor "
                "SQLite.",
                hint="Keep the values in a model of your own on the default database.",
                obj=model,
                id="scalekit.db.E039",
            )


def _why_not_looked_up(model: type[ShardedModel], name: str) -> str:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return "is no column of it"
    if field.is_relation or not field.concrete:
        return "is a relation"
    home, key = field.model._meta.concrete_model, declaration_of(model)
    reasons = {
        f"is a {type(field).__name__}: equal values may be different texts": isinstance(
            field, SEVERAL_TEXTS
        ),
        f"is in the table of {field.model.__name__}, whose other rows have an index of their own": (
            home is not model._meta.concrete_model
        ),
        "is of rows without a key: they lie where the id of another row says": not key.path,
        "names the shard by itself": field.primary_key or field == key.own_key,
        "is not unique=True": not field.unique,
    }
    return next((why for why, holds in reasons.items() if holds), "")


def _unique(model: type[ShardedModel]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return what is unique, by the name to call it by, with its columns."""
    options = model._meta
    for field in options.local_concrete_fields:
        if field.unique:
            yield field.name, (field,)
    for names in options.unique_together:
        yield "+".join(names), tuple(options.get_field(name) for name in names)
    for constraint in options.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            columns = {*constraint.fields, *_columns(constraint.expressions)}
            yield constraint.name, tuple(options.get_field(name) for name in sorted(columns))


def _columns(expressions: Collection[Any]) -> Iterator[str]:
    for expression in expressions:
        nodes: Iterable[Any] = [expression]
        if hasattr(expression, "flatten"):  # which a bare F() has not
            nodes = expression.flatten()
        yield from (node.name for node in nodes if isinstance(node, F))  # type: ignore[attr-defined]  # not in the stubs


def _is_unique_everywhere(model: type[ShardedModel], fields: Collection[Any]) -> bool:
    """Return whether equal values can only be of rows on one shard, or cannot be equal by chance."""
    return any(
        field in key_path(model)[:1]
        or field in declaration_of(model).ids
        or _leads_to_the_shard(model, field)
        or isinstance(pointed_at(field), models.UUIDField)
        or field.name in model.shard_lookups
        for field in fields
    )


def _leads_to_the_shard(model: type[ShardedModel], field: Any) -> bool:
    """Return whether a field points to a row, which lies on one shard with all that point to it."""
    return field.is_relation and declared_group(field.related_model) == model.shard_group
