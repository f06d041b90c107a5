"""The queues in the server, by name and arguments: pure.

A queue's arguments never change once it is there, so nothing in them comes from a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RUNGS = (1, 8, 64, 512, 4096, 32_768)  # seconds that each delay queue keeps a message for
DELIVERY_LIMIT = 20  # RabbitMQ 4's own; the exact cap is the consumer's, which knows the setting
NO_LIMIT = 2**31 - 1  # of deliveries, where looking at a message is one


@dataclass(frozen=True, slots=True)
class QueueNames:
    """What the queues of one of Dramatiq's queues are called."""

    namespace: str
    queue: str

    @property
    def main(self) -> str:
        return f"{self.namespace}.{self.queue}" if self.namespace else self.queue

    @property
    def dead(self) -> str:
        return f"{self.main}.XQ"

    def delay(self, rung: int) -> str:
        return f"{self.main}.DQ.{rung}s"

    @property
    def delays(self) -> list[str]:
        return [self.delay(rung) for rung in RUNGS]

    def all(self) -> list[str]:
        return [self.main, self.dead, *self.delays]


def rung_for(milliseconds: float) -> int:
    """Return the longest rung that ends no later; the shortest for what no rung is short enough for."""
    return max((rung for rung in RUNGS if rung * 1000 <= milliseconds), default=RUNGS[0])


def main_arguments(names: QueueNames) -> dict[str, Any]:
    return {**_passing_on_to(names.dead), "x-delivery-limit": DELIVERY_LIMIT}


def dead_arguments() -> dict[str, Any]:
    return {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}


def delay_arguments(names: QueueNames, rung: int) -> dict[str, Any]:
    return {**_passing_on_to(names.main), "x-message-ttl": rung * 1000}


def _passing_on_to(queue: str) -> dict[str, Any]:
    """Pass on until the next queue has confirmed; that needs the policy for full queues named beside it."""
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
