"""A broker in the memory of one process: for tests, never for production."""

from __future__ import annotations

from dramatiq.brokers.stub import StubBroker

from scalekit.queue.brokers.base import QueueBroker


class MemoryBroker(QueueBroker, StubBroker):
    """Keep messages in queues of this process; what nobody has run is gone with it."""

    def ping(self, timeout: float = 1.0) -> None:
        """Answer always."""
