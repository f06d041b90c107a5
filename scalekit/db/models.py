"""The tables of this app, each declared in its own subpackage. They lie on `default`."""

from __future__ import annotations

from scalekit.db.sharding.hot_keys.models import KeyTraffic
from scalekit.db.sharding.mapping.models import ShardMap, ShardMapKey
from scalekit.db.sharding.migrating.models import ShardMigration

__all__ = ["KeyTraffic", "ShardMap", "ShardMapKey", "ShardMigration"]
