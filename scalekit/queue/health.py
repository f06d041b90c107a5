"""Health: does the broker answer? Loaded by `scalekit.health` only."""

from __future__ import annotations

from scalekit.health.base import Check
from scalekit.queue.conf import settings


class BrokerAnswers(Check):
    """Not critical: a web server without its broker still serves pages, and all share the one broker."""

    name = "queue broker"
    critical = False
    timeout = 1.0

    def run(self) -> None:
        from scalekit.queue.brokers import default_broker

        default_broker().ping(self.timeout)


def checks() -> list[Check]:
    return [BrokerAnswers()] if settings.BROKER else []
