"""The brokers of SCALEKIT_QUEUE_BROKER, each made on first use.

"scalekit.queue.brokers.redis.RedisBroker"         Redis or Valkey
"scalekit.queue.brokers.rabbitmq.RabbitMQBroker"   RabbitMQ
"scalekit.queue.brokers.memory.MemoryBroker"       this process only, for tests
"""

from __future__ import annotations

from scalekit.core.backends import Backends
from scalekit.queue.brokers.base import QueueBroker
from scalekit.queue.conf import settings

__all__ = ["QueueBroker", "brokers", "default_broker"]

brokers: Backends[QueueBroker] = Backends(
    "SCALEKIT_QUEUE_BROKER",
    QueueBroker,  # type: ignore[type-abstract]  # the base is only compared with
    lambda: settings.BROKER,
)


def default_broker() -> QueueBroker:
    """Return the broker that tasks and actors use. Raises `SettingInvalid` if none is configured."""
    return brokers["default"]
