"""From Dramatiq's own Redis broker to ours in the same namespace, with jobs in every state, and beside it."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from dramatiq.brokers.redis import RedisBroker as StockBroker

from tests.integration.queue.on_redis.crew import SOON, actors_on
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers

SILENCE = 61_000  # milliseconds: a worker of Dramatiq's is dead after 60 s


@pytest.fixture
def redis_options(valkey):
    return {"url": valkey.url, "namespace": uuid4().hex, "heartbeat_timeout": SOON}


@pytest.fixture
def stock(redis_options):
    """Give Dramatiq's own broker, which the release before ours has used."""
    broker = StockBroker(url=redis_options["url"], namespace=redis_options["namespace"])
    yield broker
    broker.client.close()


@pytest.fixture
def old(stock):
    return actors_on(stock)


def test_its_producers_feed_our_workers(old, crew, make_broker):
    crew.work(make_broker())
    old.note.send("now")
    old.note.send_with_options(args=("late",), delay=500)
    assert eventually(lambda: sorted(crew.journal()) == ["late", "now"])


def test_what_waited_and_was_delayed_there_is_run(old, crew, make_broker):
    old.note.send("waited")
    old.note.send_with_options(args=("due",), delay=1)
    old.note.send_with_options(args=("late",), delay=1000)
    crew.work(make_broker())
    assert eventually(lambda: sorted(crew.journal()) == ["due", "late", "waited"])


def test_delayed_message_is_not_run_before_its_time(old, crew, redis_broker, make_broker):
    old.note.send_with_options(args=("late",), delay=60_000)
    crew.work(make_broker())
    assert eventually(lambda: not redis_broker.client.llen(f"{redis_broker.namespace}:default.DQ"))
    assert redis_broker.stats(["default"])["default"].delayed == 1
    assert crew.journal() == []


def test_what_its_dead_workers_had_fetched_is_run(stock, old, crew, redis_broker, make_broker):
    old.note.send("fetched")
    old.note.send_with_options(args=("delayed",), delay=1)
    for queue in ("default", "default.DQ"):
        assert next(stock.consume(queue, prefetch=5, timeout=50)) is not None
    crew.work(make_broker())
    seen = f"{redis_broker.namespace}:__seen__"
    assert eventually(lambda: redis_broker.client.hlen(seen) == 1)
    ((worker, sign),) = redis_broker.client.hgetall(seen).items()
    score, since = sign.decode().split()
    redis_broker.client.hset(seen, worker, f"{score} {int(since) - SILENCE}")
    assert eventually(lambda: sorted(crew.journal()) == ["delayed", "fetched"], 30)


def test_its_live_workers_keep_what_they_have_whatever_their_clock_says(
    stock, old, crew, redis_broker, make_broker, monkeypatch
):
    real = time.time
    monkeypatch.setattr(
        "dramatiq.brokers.redis.current_millis", lambda: int(real() * 1000) - 300_000
    )
    old.note.send("held")
    consumer = stock.consume("default", prefetch=5, timeout=50)
    held = next(consumer)
    crew.work(make_broker())
    looks = f"{redis_broker.namespace}:__looks__"

    def may_bury():
        found = redis_broker.client.hget(looks, "default")
        return found is not None and int(found.split()[0]) >= int(found.split()[1])

    assert eventually(may_bury, 30)
    consumer.ack(held)
    assert crew.journal() == []


def test_its_workers_run_what_we_enqueue(stock, redis_broker, crew):
    """So that the way back is open, and both may run during a deployment."""
    actors_on(redis_broker).note.send("ours")
    crew.work(stock)
    assert eventually(lambda: crew.journal() == ["ours"])


def test_delayed_messages_with_a_senseless_time_harm_no_neighbour(
    old, crew, redis_broker, make_broker
):
    client, name = redis_broker.client, f"{redis_broker.namespace}:default.DQ"
    forged = {
        eta: f'{{"options": {{"eta": {eta}}}}}' for eta in ("NaN", "1e400", '"x"', "null", "{}")
    }
    forged |= {"torn": "{", "no options": "{}"}
    client.hset(f"{name}.msgs", mapping=forged)
    client.rpush(name, *forged, "gone")
    old.note.send_with_options(args=("late",), delay=1)
    crew.work(make_broker())
    assert eventually(lambda: crew.journal() == ["late"])
    assert eventually(lambda: redis_broker.stats(["default"])["default"].dead == len(forged))
