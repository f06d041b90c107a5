"""Brokers, consumers and worker processes on the Valkey of the session, under a namespace of the test's own."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.integration.queue.on_redis.crew import RESTART_DELAY, Crew, actors_on


@pytest.fixture
def redis_options(valkey):
    return {"url": valkey.url, "namespace": uuid4().hex}


@pytest.fixture
def make_broker(redis_options):
    """Give a function that makes a broker as another process has one; all are closed after the test."""
    from scalekit.queue.brokers.redis import RedisBroker

    made = []

    def make(**options):
        made.append(RedisBroker("default", **{**redis_options, **options}))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def redis_broker(make_broker):
    return make_broker()


@pytest.fixture
def consume():
    """Give a function that makes a consumer, as a worker does; all are closed after the test."""
    made = []

    def make(broker, prefetch=100):
        broker.declare_queue("default")
        made.append(broker.consume("default", prefetch=prefetch, timeout=50))
        return made[-1]

    yield make
    for consumer in made:
        consumer._wake.close()


@pytest.fixture
def actors(redis_broker):
    return actors_on(redis_broker)


@pytest.fixture
def crew(tmp_path, redis_options, make_broker, monkeypatch, settings):
    """Give workers; `make_broker` is asked for as those in this process end before their brokers."""
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", int(RESTART_DELAY) / 1000)
    settings.SCALEKIT_QUEUE_MIN_BACKOFF = 0.05
    crew = Crew(tmp_path, redis_options)
    yield crew
    crew.close()
