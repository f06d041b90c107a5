"""Primary and replicas, then shards: reads scale out, writes stay right, models stay as they are.

    DATABASE_ROUTERS = ["scalekit.db.router.Router"]
    MIDDLEWARE = [..., "scalekit.db.middleware.ReadYourWrites", ...]   # outside SessionMiddleware

`using_primary`, `using_replica`, `using_shard` and `on_every_shard` each work as a ``with`` block and as
a decorator, for sync and async code. Pages: docs/journey/replicas.md and docs/journey/shards.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scalekit.db.using import on_every_shard, using_primary, using_replica, using_shard

if TYPE_CHECKING:
    from scalekit.db.sharding.fields import SnowflakeField, UUIDv7Field
    from scalekit.db.sharding.models import ShardedModel
    from scalekit.db.sharding.reference.models import ReferenceModel
    from scalekit.db.sharding.relations import LooseForeignKey
    from scalekit.db.sharding.transactions.opening import shard_atomic
    from scalekit.db.sharding.transactions.two_phase import two_phase

__all__ = [
    "LooseForeignKey",
    "ReferenceModel",
    "ShardedModel",
    "SnowflakeField",
    "UUIDv7Field",
    "on_every_shard",
    "shard_atomic",
    "two_phase",
    "using_primary",
    "using_replica",
    "using_shard",
]

# Loaded on first use: Django imports this package before models may be defined.
_LATER = {
    "LooseForeignKey": "scalekit.db.sharding.relations",
    "ReferenceModel": "scalekit.db.sharding.reference.models",
    "ShardedModel": "scalekit.db.sharding.models",
    "SnowflakeField": "scalekit.db.sharding.fields",
    "UUIDv7Field": "scalekit.db.sharding.fields",
    "shard_atomic": "scalekit.db.sharding.transactions.opening",
    "two_phase": "scalekit.db.sharding.transactions.two_phase",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value
