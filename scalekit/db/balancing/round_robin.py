from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING

from scalekit.db.balancing.base import Balancer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.topology import Replica


class RoundRobin(Balancer):
    """Each replica in turn, whatever its WEIGHT."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        # Processes that started together must not walk in step.
        self._turn = count(random.randrange(1 << 16))  # noqa: S311 - no secret

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        return replicas[next(self._turn) % len(replicas)]
