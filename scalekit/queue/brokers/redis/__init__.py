"""Redis or Valkey as the broker, alone or behind Sentinel.

`RedisBroker` is what SCALEKIT_QUEUE_BROKER names. What happens in the server is in lua/, one file a step.
Page: docs/explanation/queue_brokers.md.
"""

from __future__ import annotations

from scalekit.queue.brokers.redis.broker import RedisBroker

__all__ = ["RedisBroker"]
