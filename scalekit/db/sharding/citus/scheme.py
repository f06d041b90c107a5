from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.sharding.base import MAX_SLOTS, ShardingScheme

if TYPE_CHECKING:
    from scalekit.db.sharding.mapping.slot_map import SlotMap

DEFAULT_SHARD_COUNT = 32  # Citus' own
MAX_SHARD_COUNT = 64_000  # the highest that citus.shard_count takes


class Citus(ShardingScheme):
    """One alias, whose engine spreads the rows: queries need not name a shard, and may join them all.

    `coordinator` is an alias of DATABASES, "default" too. `shard_count` is the number of Citus' own shards,
    from 1 to 64,000; it counts when tables are distributed.
    """

    spreads_itself = True

    def __init__(
        self, alias: str, *, coordinator: str = "default", shard_count: int = DEFAULT_SHARD_COUNT
    ) -> None:
        if not coordinator or not isinstance(coordinator, str):
            msg = f"coordinator is {coordinator!r}; write an alias of DATABASES"
            raise ValueError(msg)
        if isinstance(shard_count, bool) or not 1 <= shard_count <= MAX_SHARD_COUNT:
            msg = (
                f"shard_count is {shard_count!r}; write a whole number from 1 to {MAX_SHARD_COUNT}"
            )
            raise ValueError(msg)
        super().__init__(alias, shards=[coordinator], slots=MAX_SLOTS)
        self.coordinator, self.shard_count = coordinator, shard_count

    def initial_shard(self, slot: int) -> str:  # noqa: ARG002 - the contract's
        return self.coordinator

    @property
    def map(self) -> SlotMap:
        """The map of the options: where rows are, Citus keeps itself."""
        if self._map is None:
            self._map = self.initial_map()
        return self._map
