"""Brokers and consumers on the RabbitMQ of the session, under a namespace of the test's own."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

import dramatiq
import pika
import pytest

from scalekit.queue.brokers.rabbitmq import RabbitMQBroker


@pytest.fixture
def options(rabbitmq):
    return {"url": rabbitmq.url, "namespace": uuid4().hex}


@pytest.fixture
def broker_entry(options):
    return {"BACKEND": "scalekit.queue.brokers.rabbitmq.RabbitMQBroker", "OPTIONS": options}


@pytest.fixture
def rabbit(options):
    """Give a broker of this process."""
    broker = RabbitMQBroker("default", **options)
    broker.declare_queue("default")
    yield broker
    broker.close()


@pytest.fixture
def consume(rabbit):
    """Give a function that makes a consumer, as a worker does."""
    made = []

    def make(prefetch=10):
        made.append(rabbit.consume("default", prefetch=prefetch, timeout=50))
        return made[-1]

    yield make
    for consumer in made:
        with suppress(dramatiq.errors.ConnectionClosed):
            consumer.close()


@pytest.fixture
def channel(rabbitmq):
    """Give a channel of pika's own."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
    yield connection.channel()
    connection.close()
