"""Who carries rows of reference tables to the shards, and which tables these are."""

# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.declarations import is_reference

if TYPE_CHECKING:
    from django.db.models import Model


def shards() -> list[str]:
    """Return the databases that have copies, in the order of the settings."""
    found = dict.fromkeys(shard.primary.alias for shard in current_cluster().shards)
    return [alias for alias in found if alias != DEFAULT_DB_ALIAS]


def by_replication() -> bool:
    """Return whether PostgreSQL carries the rows, and not this library.

    Not beside Citus: what a subscription applies goes past it, into a table of the coordinator that nobody reads,
    and what a publication sees there is empty.
    """
    how = settings.REFERENCE_FANOUT
    if how == "outbox" or citus_groups():
        return False
    everywhere = (DEFAULT_DB_ALIAS, *shards())
    return how == "replication" or all(connections[a].vendor == "postgresql" for a in everywhere)


def citus_groups() -> list[str]:
    """Return the shard groups whose database spreads the rows itself."""
    return [group for group in settings.SHARDING if schemes[group].spreads_itself]


def reference_models() -> list[type[Model]]:
    """Return the models whose tables are copied: the targets of foreign keys first, tables of pairs among them."""
    models = [
        model
        for model in apps.get_models(include_auto_created=True)
        if is_reference(model) and not model._meta.proxy and model._meta.managed
    ]
    ordered: list[type[Model]] = []
    for model in models:
        _add(model, models, ordered, ())
    return ordered


def _add(
    model: type[Model],
    models: list[type[Model]],
    ordered: list[type[Model]],
    path: tuple[type[Model], ...],
) -> None:
    if model in ordered or model in path:
        return
    for field in model._meta.local_fields:
        if field.related_model in models:
            _add(field.related_model, models, ordered, (*path, model))
    ordered.append(model)


def columns_of(model: type[Model]) -> list[str]:
    """Return the columns that are copied: all but those that a database computes."""
    fields: list[Any] = list(model._meta.local_concrete_fields)
    return [field.column for field in fields if not getattr(field, "generated", False)]
