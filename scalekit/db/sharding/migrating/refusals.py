"""What a data migration may not do on the database it migrates, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.exceptions import StrayMigration

if TYPE_CHECKING:
    from django.db.models import Model

BY_GROUP = 'hints={"shard_group": '


def no_table_here(model: type[Model], database: str, group: str) -> StrayMigration:
    return StrayMigration(
        f"This migration uses {model.__name__} while {database} is migrated, which is no shard of {group!r} and "
        f"has no rows of it. Give its RunPython {BY_GROUP}{group!r}}}, and it runs once on each shard instead."
    )


def written_elsewhere(model: type[Model], database: str) -> StrayMigration:
    return StrayMigration(
        f"This migration would write {model.__name__}, which is not sharded, while {database} is migrated; it runs "
        f"once on each shard, so it would write the same again and again. Give its RunPython {BY_GROUP}None}}, "
        "and it runs on no shard; what it does to sharded rows belongs in a RunPython of its own."
    )


def created_elsewhere(instance: Model, database: str, home: str, group: str) -> StrayMigration:
    name = type(instance).__name__
    return StrayMigration(
        f"This migration would create a {name} on {database} whose key belongs on {home}. It runs once on each "
        f"shard: create there what belongs there, where schemes[{group!r}].shard_for(key) == "
        "schema_editor.connection.alias (from scalekit.db.conf import schemes)."
    )
