from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.topology import Replica


class Balancer(ABC):
    """Choose the replica that a request reads from. Called by many threads at once."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def choose(self, replicas: Sequence[Replica]) -> Replica:
        """Return one of `replicas`, which are all in rotation and never empty."""
