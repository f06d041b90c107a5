"""RabbitMQ as the broker: quorum queues, with everything confirmed.

`RabbitMQBroker` is what SCALEKIT_QUEUE_BROKER names. Page: docs/explanation/queue_brokers.md.
"""

from __future__ import annotations

from scalekit.queue.brokers.rabbitmq.broker import RabbitMQBroker

__all__ = ["RabbitMQBroker"]
