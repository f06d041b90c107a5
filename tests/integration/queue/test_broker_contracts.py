"""One suite for every broker."""

from __future__ import annotations

import pytest

from scalekit.testing.queue.contracts import BrokerContract, ServerBrokerContract


class TestMemory(BrokerContract):
    backend = "scalekit.queue.brokers.memory.MemoryBroker"


@pytest.mark.servers
class TestRedis(ServerBrokerContract):
    backend, server = "scalekit.queue.brokers.redis.RedisBroker", "valkey"
    deaths = {"heartbeat_timeout": 500}


@pytest.mark.servers
class TestRabbitMQ(ServerBrokerContract):
    backend, server = "scalekit.queue.brokers.rabbitmq.RabbitMQBroker", "rabbitmq"
    breaks_the_shared_server = True
    remembered = 1.0  # ra_directory saves twice a second
