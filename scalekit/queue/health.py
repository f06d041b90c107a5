"""Health of the queue. Loaded by `scalekit.health` only.

None is critical: a web server serves pages without the queue, and all share the one broker and the relays.
"""

from __future__ import annotations

from scalekit.health.base import Check
from scalekit.queue.conf import settings
from scalekit.queue.exceptions import QueueError

OVERDUE = 60.0  # seconds that a row may be due without being published; a relay that lives takes one or two


class OutboxStuck(QueueError):
    """Jobs are due, and nobody publishes them."""


class BrokerAnswers(Check):
    """Jobs that are enqueued meanwhile wait in the outbox."""

    name = "queue broker"
    critical = False
    timeout = 1.0

    def run(self) -> None:
        from scalekit.queue.brokers import default_broker

        default_broker().ping(self.timeout)


class OutboxMoves(Check):
    """Whether what is due is published, in the databases that the queue lies in."""

    name = "queue outbox"
    critical = False
    timeout = 1.0

    def run(self) -> None:
        from scalekit.queue.ages import oldest_due
        from scalekit.queue.leadership import is_alive

        for alias in settings.DATABASES:
            age = oldest_due(alias)
            if age is None or age < OVERDUE:
                continue
            if is_alive(alias, "relay"):
                raise OutboxStuck(
                    f"A job in {alias!r} has been due for {age:.0f} s though a relay runs: what does it log?"
                )
            raise OutboxStuck(
                f"A job in {alias!r} has been due for {age:.0f} s, and no relay runs: start run_workers, "
                f"or run_relay."
            )


def checks() -> list[Check]:
    return [BrokerAnswers(), OutboxMoves()] if settings.BROKER else []
