from __future__ import annotations

from scalekit.db.sharding.base import ShardingScheme


class Modulo(ShardingScheme):
    """Slots go round the shards in turn. A shard more would move nearly all of them: for groups that stay."""

    def initial_shard(self, slot: int) -> str:
        return self.shards[slot % len(self.shards)]
