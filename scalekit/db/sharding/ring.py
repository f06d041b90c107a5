from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from scalekit.db.sharding.base import MAX_SLOTS, ShardingScheme
from scalekit.db.sharding.keys import hash_of_text
from scalekit.db.sharding.weights import checked_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_VNODES = 10_000


class Ring(ShardingScheme):
    """Consistent hashing of slots (Karger et al. 1997): each shard has `vnodes` points on a ring, times its weight.

    A slot lies on the shard of the next point. A shard that comes or goes moves only slots of its own,
    whatever its place in the list.
    """

    def __init__(
        self,
        alias: str,
        *,
        shards: Sequence[str],
        slots: int = MAX_SLOTS,
        starts_on: str = "",
        vnodes: int = 160,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(alias, shards=shards, slots=slots, starts_on=starts_on)
        if type(vnodes) is not int or not 1 <= vnodes <= MAX_VNODES:
            msg = f"vnodes is {vnodes!r}; write a whole number from 1 to {MAX_VNODES}"
            raise ValueError(msg)
        points = sorted(
            (hash_of_text(f"{shard} {number}"), shard)
            for shard, weight in zip(
                self.shards, checked_weights(self.shards, weights), strict=True
            )
            for number in range(vnodes * weight)
        )
        self._points = [point for point, _ in points]
        self._owners = [shard for _, shard in points]

    def initial_shard(self, slot: int) -> str:
        place = bisect_right(self._points, hash_of_text(f"slot {slot}"))
        return self._owners[place % len(self._owners)]
