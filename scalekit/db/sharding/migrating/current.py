"""Keep a data migration on the database it migrates.

Migrations from before there were shards name no database, as in ``Photo.objects.all()``; a new shard runs them
all the same. So a model as migrations see it, which has a plain manager, means the rows of the database that
is being migrated; and what would be written elsewhere, once for each shard, is refused.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db.models.signals import post_migrate, pre_migrate, pre_save

from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.declarations import configured_group, group_of
from scalekit.db.sharding.migrating.refusals import (
    created_elsewhere,
    no_table_here,
    written_elsewhere,
)
from scalekit.db.sharding.placing import primary_of_instance

if TYPE_CHECKING:
    from django.db.models import Model

HISTORICAL = "__fake__"  # the module of models inside migrations (django.db.migrations.state)

_migrated: ContextVar[str | None] = ContextVar("scalekit_db_migrated", default=None)


def _begin(using: str, **_: Any) -> None:
    _migrated.set(using)
    # Not before a process migrates for the first time: it is asked at every save, of any model.
    pre_save.connect(_refuse_strays, dispatch_uid="scalekit.db.migrating")


def _end(**_: Any) -> None:
    _migrated.set(None)


def primary_in_migration(
    model: type[Model], *, for_write: bool, on_every_primary: bool
) -> str | None:
    """Return the database for a query on a model of a migration; None where the usual way is right.

    Raises `StrayMigration` where that would write to another database than the one that is migrated, or has
    no table there.
    """
    database = _migrated.get()
    if database is None:
        return None
    group = configured_group(model)
    if group is not None:
        if database not in (*schemes[group].shards, schemes[group].starts_on):
            raise no_table_here(model, database, group)
        return database
    if not is_shard(database):
        return None
    if for_write and not on_every_primary:
        raise written_elsewhere(model, database)
    return database if on_every_primary else None


def is_shard(alias: str) -> bool:
    """Return whether a database has the rows of some keys alone."""
    return any(
        alias in schemes[group].shards and not schemes[group].spreads_itself
        for group in settings.SHARDING
    )


def _refuse_strays(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """Refuse a new row in a migration of another shard than its own."""
    if sender.__module__ != HISTORICAL or not instance._state.adding:  # noqa: SLF001 - Django's documented API
        return
    group = group_of(sender)
    home = None if group is None else primary_of_instance(instance, group)
    if group is not None and home is not None and home != using:
        raise created_elsewhere(instance, using, home, group)


# With the router, which imports this: without it there is nothing to keep anywhere.
pre_migrate.connect(_begin, dispatch_uid="scalekit.db.migrating")
post_migrate.connect(_end, dispatch_uid="scalekit.db.migrating")
