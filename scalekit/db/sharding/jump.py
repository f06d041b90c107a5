from __future__ import annotations

from scalekit.db.sharding.base import ShardingScheme
from scalekit.db.sharding.keys import hash_of_text

MULTIPLIER = 2862933555777941757  # of the paper's linear congruential generator
MASK = (1 << 64) - 1


class Jump(ShardingScheme):
    """Jump consistent hashing (Lamping and Veach 2014, https://arxiv.org/abs/1406.2294), of slots.

    Even, and a shard more takes only what is its own. Shards are numbered by their place in the list, so new
    ones go to its end and only the last may be taken away.
    """

    def initial_shard(self, slot: int) -> str:
        return self.shards[jump(hash_of_text(f"slot {slot}"), len(self.shards))]


def jump(number: int, buckets: int) -> int:
    """Return the bucket, from 0, of a 64-bit number that is evenly spread."""
    bucket, following = -1, 0
    while following < buckets:
        bucket = following
        number = (number * MULTIPLIER + 1) & MASK
        following = int((bucket + 1) * (float(1 << 31) / ((number >> 33) + 1)))
    return bucket
