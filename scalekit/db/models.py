"""The tables of this app, each declared in its own subpackage. They lie on `default`."""

from __future__ import annotations

from scalekit.db.sharding.hot_keys.models import KeyTraffic
from scalekit.db.sharding.id_leases.models import IdLease
from scalekit.db.sharding.lookup_index.models import ShardLookup
from scalekit.db.sharding.mapping.models import ShardMap, ShardMapKey
from scalekit.db.sharding.migrating.models import ShardMigration
from scalekit.db.sharding.reference.ledger import ReferenceChange, ReferenceLock
from scalekit.db.sharding.splitting.models import SplitTable
from scalekit.db.sharding.transactions.models import TransactionDecision

__all__ = [
    "IdLease",
    "KeyTraffic",
    "ReferenceChange",
    "ReferenceLock",
    "ShardLookup",
    "ShardMap",
    "ShardMapKey",
    "ShardMigration",
    "SplitTable",
    "TransactionDecision",
]
