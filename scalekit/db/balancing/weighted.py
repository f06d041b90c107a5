from __future__ import annotations

import random
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from scalekit.db.balancing.base import Balancer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.topology import Replica


class Weighted(Balancer):
    """Replicas in turn, each as often as its WEIGHT says; equal weights are plain round robin."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._turn = count(random.randrange(1 << 16))  # noqa: S311 - no secret

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        order = interleave(tuple(replica.weight for replica in replicas))
        return replicas[order[next(self._turn) % len(order)]]


@lru_cache(maxsize=256)
def interleave(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return positions in one smooth cycle: weights 3 and 1 give 0, 0, 1, 0 and not 0, 0, 0, 1.

    After nginx's smooth weighted round robin (ngx_http_upstream_round_robin.c).
    """
    total = sum(weights)
    score = [0] * len(weights)
    order = []
    for _ in range(total):
        score = [s + w for s, w in zip(score, weights, strict=True)]
        best = score.index(max(score))
        score[best] -= total
        order.append(best)
    return tuple(order)
