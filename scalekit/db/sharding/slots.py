from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from scalekit.db.sharding.base import MAX_SLOTS, ShardingScheme
from scalekit.db.sharding.weights import checked_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_SLOTS", "Slots"]


class Slots(ShardingScheme):
    """Keys hash into many slots; each shard begins with a contiguous range of them, as long as its weight.

    Later any slot may lie on any shard: the stored map says where.
    """

    def __init__(
        self,
        alias: str,
        *,
        shards: Sequence[str],
        slots: int = MAX_SLOTS,
        starts_on: str = "",
        weights: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(alias, shards=shards, slots=slots, starts_on=starts_on)
        self._ends = tuple(accumulate(checked_weights(self.shards, weights)))
        if self._ends[-1] > slots:
            msg = (
                f"the weights add up to {self._ends[-1]}, more than {slots} slots; write lower ones"
            )
            raise ValueError(msg)

    def initial_shard(self, slot: int) -> str:
        return self.shards[bisect_right(self._ends, slot * self._ends[-1] // self.slots)]
