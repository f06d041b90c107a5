"""Django's router methods, each one call into what decides."""
# ruff: noqa: SLF001 - Django keeps an object's database there

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db import router as project_routers

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.servers import read_alias
from scalekit.db.sharding.declarations import configured_group, is_reference
from scalekit.db.sharding.migrating.current import HISTORICAL, primary_in_migration
from scalekit.db.sharding.migrating.operations import runs_on
from scalekit.db.sharding.placing import (
    AnyShard,
    group_of,
    own_slot,
    primary_of,
    primary_of_instance,
)
from scalekit.db.sharding.refusals import apart

if TYPE_CHECKING:
    from django.db.models import Model


class Router:
    """Writes to the primary of the data, reads to one of its replicas."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        if not current_cluster().active:
            return None
        primary = self._primary(model, hints, for_write=False)
        is_server = not isinstance(primary, AnyShard) and primary in current_cluster().primaries
        return read_alias(primary) if is_server else primary

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        if not current_cluster().active:
            return None
        return self._primary(model, hints, for_write=True)

    def _primary(self, model: type[Model], hints: dict[str, Any], *, for_write: bool) -> str:
        if model.__module__ == HISTORICAL:
            everywhere = _on_every_primary(model)
            alias = primary_in_migration(model, for_write=for_write, on_every_primary=everywhere)
            if alias is not None:
                return alias
        group = group_of(model)
        if group is not None:
            return primary_of(model, group, hints.get("instance"), for_write=for_write)
        return self._elsewhere(model, hints) or self._unsharded(model, hints.get("instance"))

    def _elsewhere(self, model: type[Model], hints: dict[str, Any]) -> str | None:
        """Ask the project's own routers where an unsharded model is written; its replicas are ours."""
        for other in project_routers.routers:
            if not isinstance(other, Router) and hasattr(other, "db_for_write"):
                alias: str | None = other.db_for_write(model, **hints)
                if alias is not None:
                    return alias
        return None

    def _unsharded(self, model: type[Model], instance: Any) -> str:
        """Return the primary an instance came from, unless that is a shard and only sharded models live there."""
        state = getattr(instance, "_state", None)
        if state is None or state.db is None:
            return DEFAULT_DB_ALIAS
        cluster = current_cluster()
        owner = cluster.owner.get(state.db, DEFAULT_DB_ALIAS)
        is_guest = owner in cluster.shard_aliases and not _on_every_primary(model)
        return DEFAULT_DB_ALIAS if is_guest else owner

    def allow_relation(self, one: Model, other: Model, **_: Any) -> bool | None:
        """Allow what lives together; also a sharded row's plain reference to an unsharded one.

        Raises `CrossShardRelation`, a ValueError as Django's own, with what to do.
        """
        if not current_cluster().active:
            return None
        # __class__ and not type(): request.user is a lazy object that stands for a User.
        groups = group_of(one.__class__), group_of(other.__class__)
        if groups[0] != groups[1]:
            if None not in groups:
                raise apart(one, other, groups)
            return True
        homes = self._home(one), self._home(other)
        if groups[0] is not None and None not in homes:
            # On one shard today, rows of two keys may move apart tomorrow.
            slots = own_slot(one, groups[0]), own_slot(other, groups[0])
            if homes[0] != homes[1] or (None not in slots and slots[0] != slots[1]):
                raise apart(one, other, homes)
        return None in homes or homes[0] == homes[1]

    def _home(self, instance: Model) -> str | None:
        group = group_of(instance.__class__)
        if group is not None:
            return primary_of_instance(instance, group)
        alias = instance._state.db
        return None if alias is None else current_cluster().owner.get(alias, alias)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        """Sharded models on their shards alone, others on no shard, nothing on a replica.

        A model with the attribute ``on_every_primary = True`` is for shards too, and so is a reference model.
        """
        cluster = current_cluster()
        if not cluster.active:
            return None
        if cluster.is_replica(db):
            return False
        model = hints.get("model") or _model(app_label, model_name)
        if model is None:
            return runs_on(db, app_label, hints)
        group = configured_group(model)
        if group is None:
            is_shard = db in cluster.shard_aliases and db != DEFAULT_DB_ALIAS
            is_everywhere = _on_every_primary(model) or is_reference(model)
            return False if is_shard and not is_everywhere else None
        scheme = schemes[group]
        if db == scheme.starts_on:
            return not scheme.map.live  # else there is a view in its place, or nothing any more
        return any(s.group == group and s.primary.alias == db for s in cluster.shards)


def _on_every_primary(model: type[Model]) -> bool:
    """Tell whether each database has rows of `model` of its own, as an outbox does for its transactions.

    The class of the app is asked: one inside a migration has fields, but no attributes.
    """
    declared = _model(model._meta.app_label, model._meta.model_name)
    return getattr(declared, "on_every_primary", False) is True


def _model(app_label: str, model_name: str | None) -> type[Model] | None:
    """Return the model that an operation's hint names: Django passes no class for RunSQL and RunPython."""
    try:
        return None if model_name is None else apps.get_model(app_label, model_name)
    except LookupError:
        return None  # gone since
