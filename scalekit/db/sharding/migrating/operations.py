"""Where a migration's own SQL and Python run: `RunSQL`, `RunPython` and what else names no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps

from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.migrating.current import is_shard
from scalekit.db.sharding.placing import declared_group, group_of

if TYPE_CHECKING:
    from collections.abc import Mapping

HINT = "shard_group"


def runs_on(database: str, app_label: str, hints: Mapping[str, Any]) -> bool | None:
    """Return whether an operation without a model may run on a primary; None if nothing is against it.

    ``hints={"shard_group": "users"}`` says so: on the shards of this group alone; with None, on no shard. Without
    it, the app tells: on the shards of its models, and elsewhere unless all of its models are sharded; everywhere
    if a model is on every primary.
    """
    if HINT in hints:
        group = hints[HINT]
        if group not in settings.SHARDING:
            return False if is_shard(database) else None
        return database in schemes[group].shards
    app = apps.app_configs.get(app_label)  # none of a cache in the database, or if it is gone since
    models = [] if app is None else list(app.get_models())
    if any(getattr(model, "on_every_primary", False) for model in models):
        return None
    groups = {declared_group(model) for model in models} & settings.SHARDING.keys()
    if is_shard(database):
        return any(database in schemes[str(group)].shards for group in groups)
    all_sharded = bool(models) and all(group_of(model) for model in models)
    return False if all_sharded and database not in _shards(groups) else None


def _shards(groups: set[str | None]) -> set[str]:
    return {alias for group in groups for alias in schemes[str(group)].shards}
