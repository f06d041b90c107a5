from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.balancing.weighted import Weighted
from scalekit.db.monitor.watching import monitor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.topology import Replica


class LeastLag(Weighted):
    """The replicas that lag least, by weight among those within `tolerance` seconds of the best one."""

    def __init__(self, alias: str, *, tolerance: float = 1.0) -> None:
        super().__init__(alias)
        self.tolerance = tolerance

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        lags = [monitor.sight_of(replica.alias).lag for replica in replicas]
        limit = min(lags) + self.tolerance
        near = [r for r, lag in zip(replicas, lags, strict=True) if lag <= limit]
        return super().choose(near)
