from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.sharding.base import ShardingScheme, ShardKey, stable_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SLOTS = 4096


class Slots(ShardingScheme):
    """Keys hash into many slots; each shard holds a contiguous, equal range of them.

    `slots` is a power of two up to 4096, so that the slot inside an id stays right whatever it is.
    """

    def __init__(self, alias: str, *, shards: Sequence[str], slots: int = MAX_SLOTS) -> None:
        super().__init__(alias, shards=shards, slots=slots)
        if not _is_power_of_two(slots):
            msg = f"slots is {slots!r}; write a power of two up to {MAX_SLOTS}"
            raise ValueError(msg)
        if len(self.shards) > slots:
            msg = f"{len(self.shards)} shards cannot share {slots} slots; write more slots"
            raise ValueError(msg)

    def slot(self, key: ShardKey) -> int:
        return stable_hash(key) % self.slots

    def shard_for_slot(self, slot: int) -> str:
        return self.shards[slot % self.slots * len(self.shards) // self.slots]


def _is_power_of_two(slots: object) -> bool:
    return isinstance(slots, int) and 1 <= slots <= MAX_SLOTS and not slots & (slots - 1)
