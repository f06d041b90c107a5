"""What every broker must do, as tests: subclass one of the two contracts and say which broker is meant.

    class TestMyBroker(ServerBrokerContract):
        backend, server = "shop.queue.MyBroker", "valkey"

`server` is one of the servers of `scalekit.testing.servers`; a broker on another one brings its own `options`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import dramatiq
import pytest
from django.conf import settings
from django.test import override_settings

from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed

from .steps import (
    PATIENCE,
    QUEUE,
    Make,
    actor,
    eventually,
    garbled,
    is_published,
    making,
    message,
    release,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.queue.brokers import QueueBroker
    from scalekit.testing.servers import Server

HERE = "scalekit.testing.queue.contracts"


class Heard(dramatiq.Middleware):
    """Middleware as a third party writes it: it knows nothing of scalekit, and counts what it hears."""

    names: ClassVar[list[str]] = []

    def before_process_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002 - Dramatiq's hook
        """Take down the actor's name."""
        self.names.append(message.actor_name)


class BrokerContract:
    """What a broker does while its server, if it has one, is well."""

    backend: ClassVar[str]
    server: ClassVar[str] = ""

    def options(self, server: Server | None) -> dict[str, Any]:
        """Return OPTIONS, under names of this test's own."""
        return {"url": server.url, "namespace": uuid4().hex} if server else {}  # type: ignore[attr-defined]  # the servers of brokers have one

    @pytest.fixture
    def broker_options(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        """Give the options of all brokers of one test."""
        return self.options(request.getfixturevalue(self.server) if self.server else None)

    @pytest.fixture
    def make_broker(self, broker_options: dict[str, Any]) -> Iterator[Make]:
        """Give a function that makes a broker, as each process has its own."""
        with making(self.backend, broker_options) as make:
            yield make

    @pytest.fixture
    def queue_broker(self, make_broker: Callable[..., QueueBroker]) -> QueueBroker:
        """Give the broker of the test."""
        return make_broker()

    @pytest.fixture
    def consume(self) -> Iterator[Callable[..., Any]]:
        """Give a function that makes a consumer, as a worker does."""
        made: list[Any] = []

        def make(broker: QueueBroker, prefetch: int = 10) -> Any:
            made.append(broker.consume(QUEUE, prefetch=prefetch, timeout=50))
            return made[-1]

        yield make
        for consumer in made:
            with suppress(dramatiq.errors.ConnectionClosed):
                consumer.close()

    @pytest.fixture
    def work(self) -> Iterator[Callable[[QueueBroker], None]]:
        """Give a function that lets a worker with one thread work for a broker until the test ends."""
        workers: list[dramatiq.Worker] = []

        def start(broker: QueueBroker) -> None:
            workers.append(dramatiq.Worker(broker, worker_threads=1, worker_timeout=50))
            workers[-1].start()

        yield start
        for worker in workers:
            worker.stop()

    def test_message_arrives_as_it_was_sent(self, queue_broker: QueueBroker, consume: Make) -> None:
        """Arguments and id are what they were."""
        sent = queue_broker.enqueue(message("resize", 1, size=[2, "x"]))
        (taken,) = take(consume(queue_broker))
        assert (taken.message_id, taken.args, taken.kwargs) == (
            sent.message_id,
            (1,),
            {"size": [2, "x"]},
        )

    @pytest.mark.parametrize("how", ["one by one", "many"])
    def test_order_is_kept(self, queue_broker: QueueBroker, consume: Make, how: str) -> None:
        """What is published first is delivered first."""
        messages = [message("count", number) for number in range(5)]
        if how == "many":
            queue_broker.enqueue_many(messages)
        else:
            for each in messages:
                queue_broker.enqueue(each)
        assert [one.args[0] for one in take(consume(queue_broker), 5)] == [0, 1, 2, 3, 4]

    def test_enqueue_many_takes_no_message_and_thousands(self, queue_broker: QueueBroker) -> None:
        """Every one of them is stored when it returns."""
        queue_broker.enqueue_many([])
        queue_broker.enqueue_many([message("count", number) for number in range(2500)])
        assert eventually(lambda: queue_broker.stats([QUEUE])[QUEUE].ready == 2500)

    def test_acknowledged_message_is_gone(self, queue_broker: QueueBroker, consume: Make) -> None:
        """Nobody gets it again, not even once its worker has gone."""
        queue_broker.enqueue(message("resize"))
        consumer = consume(queue_broker)
        (taken,) = take(consumer)
        consumer.ack(taken)
        consumer.close()
        assert next(consume(queue_broker)) is None

    def test_retry_stores_the_job_and_acknowledges_it(
        self, queue_broker: QueueBroker, consume: Make
    ) -> None:
        """It is there once, also if it is acknowledged once more."""
        queue_broker.enqueue(message("resize", 7))
        consumer = consume(queue_broker)
        (taken,) = take(consumer)
        queue_broker.retry(taken, 30)
        consumer.ack(taken)
        release(queue_broker)
        (again,) = take(consumer)
        assert (again.message_id, again.args) == (taken.message_id, (7,))
        consumer.ack(again)
        consumer.close()
        assert next(consume(queue_broker)) is None

    def test_delayed_message_comes_when_it_is_due(
        self, queue_broker: QueueBroker, consume: Make
    ) -> None:
        """And never before."""
        due = time.time() + 1.5
        queue_broker.enqueue(message("resize"), delay=1500)
        assert queue_broker.stats([QUEUE])[QUEUE].delayed == 1
        release(queue_broker, due - time.time() + 1)
        assert len(take(consume(queue_broker))) == 1
        assert time.time() >= due or not queue_broker.stores_delays

    def test_dead_letters_are_seen_until_they_are_forgotten(
        self, queue_broker: QueueBroker, consume: Make
    ) -> None:
        """With what was published, and why they are dead."""
        queue_broker.enqueue_many([message("resize", number) for number in (1, 2)])
        consumer = consume(queue_broker)
        for taken in take(consumer, 2):
            consumer.nack(taken)
        seen = [queue_broker.dead_messages(QUEUE, 10) for _ in range(2)]
        assert [[json.loads(one.raw)["args"] for one in each] for each in seen] == [[[1], [2]]] * 2
        assert {(one.queue, one.reason) for one in seen[0]} == {(QUEUE, "failed")}
        assert queue_broker.stats([QUEUE])[QUEUE].dead == 2
        queue_broker.forget_dead(QUEUE, [seen[0][0].id])
        (left,) = queue_broker.dead_messages(QUEUE, 10)
        assert json.loads(left.raw)["args"] == [2]

    def test_unreadable_message_is_dead_and_harms_no_neighbour(
        self, queue_broker: QueueBroker, consume: Make
    ) -> None:
        """All around it arrive."""
        queue_broker.enqueue(message("count", 1))
        with garbled():
            queue_broker.enqueue(message("count", 2))
        queue_broker.enqueue(message("count", 3))
        assert [one.args[0] for one in take(consume(queue_broker), 2)] == [1, 3]
        (letter,) = queue_broker.dead_messages(QUEUE, 10)
        assert (letter.reason, letter.raw) == ("unreadable", b"\xff\xfe no message")

    def test_stats_count_what_waits(self, queue_broker: QueueBroker) -> None:
        """And are nothing for a queue that nobody has declared."""
        queue_broker.enqueue_many([message("count", number) for number in range(3)])
        stats = queue_broker.stats([QUEUE, "unheard_of"])
        assert stats[QUEUE].ready == 3
        assert 0 <= (stats[QUEUE].waited or 0) < PATIENCE
        assert (stats["unheard_of"].ready, stats["unheard_of"].dead) == (0, 0)

    def test_stopped_worker_gives_back_what_it_has_not_begun(
        self, queue_broker: QueueBroker, consume: Make
    ) -> None:
        """At once, and as if it had never had it."""
        queue_broker.enqueue_many([message("count", number) for number in range(5)])
        consumer = consume(queue_broker)
        consumer.requeue(take(consumer, 3))
        consumer.close()
        again = take(consume(queue_broker), 5)
        assert sorted(one.args[0] for one in again) == [0, 1, 2, 3, 4]

    def test_plain_actors_and_the_middleware_of_others_work(
        self, make_broker: Make, work: Make
    ) -> None:
        """Dramatiq is all they know of."""
        ran: list[str] = []
        broker = make_broker(middleware=[f"{HERE}.Heard"])
        actor(ran.append, broker, actor_name="append").send("it ran")
        Heard.names.clear()
        work(broker)
        assert eventually(lambda: ran) == ["it ran"]
        assert Heard.names == ["append"]

    def test_job_that_fails_is_run_again_until_it_succeeds(
        self, queue_broker: QueueBroker, work: Make
    ) -> None:
        """By Dramatiq's own retries, stored by the broker."""
        ran: list[int] = []

        def stumble(times: int) -> None:
            ran.append(len(ran) + 1)
            if len(ran) < times:
                raise ValueError(times)

        actor(stumble, queue_broker, min_backoff=10, max_backoff=20).send(3)
        work(queue_broker)
        assert eventually(lambda: len(ran) == 3)


class ServerBrokerContract(BrokerContract):
    """What a broker does that has a server, when that or its workers die."""

    bounds: ClassVar[dict[str, Any]] = {"connect_timeout": 0.5, "timeout": 1.0}
    remembered: ClassVar[float] = (
        0  # seconds after which a new queue outlives the kill of its server
    )
    breaks_the_shared_server: ClassVar[bool] = (
        False  # instead of one more, where that starts slowly
    )
    deaths: ClassVar[dict[str, Any]] = {}  # options with which a death is noticed within seconds

    @pytest.fixture
    def own_server(self, request: pytest.FixtureRequest, scalekit_topology: Any) -> Iterator[Any]:
        """Give the server that tests kill and freeze; it is well again for the next."""
        if self.breaks_the_shared_server:
            server = request.getfixturevalue(self.server)
        else:
            name = f"{self.server}_to_break"
            there = scalekit_topology.servers.get(name)
            server = there or getattr(scalekit_topology, self.server)(name)
        yield server
        if server.running:
            server.thaw()
        server.start()

    @pytest.fixture
    def make_own_broker(self, own_server: Any) -> Iterator[Make]:
        """Give a function that makes a broker on that server."""
        with making(self.backend, self.options(own_server)) as make:
            yield make

    def test_it_answers_a_ping(self, queue_broker: QueueBroker) -> None:
        """And tells where it is, without its password."""
        queue_broker.ping()
        assert str(queue_broker.where).startswith("127.0.0.1:")

    def test_frozen_server_fails_every_call_within_bounds(
        self, own_server: Any, make_own_broker: Make
    ) -> None:
        """It accepts connections and never answers, which is worse than being down."""
        broker = make_own_broker(**self.bounds)
        assert eventually(lambda: is_published(broker))
        begin = time.monotonic()
        with own_server.frozen():
            with pytest.raises(PublishFailed, match="did not confirm"):
                broker.enqueue(message("resize"))
            with pytest.raises(PublishFailed):
                broker.enqueue_many([message("resize")] * 3)
            for ask in (broker.ping, lambda: broker.stats([QUEUE])):
                with pytest.raises(BrokerUnreachable, match=own_server.address):
                    ask()
        assert time.monotonic() - begin < 12  # four calls, each bounded by three times a second
        assert eventually(lambda: is_published(broker))

    def test_killed_server_fails_at_once_and_costs_nothing_once_it_is_back(
        self, own_server: Any, make_own_broker: Make
    ) -> None:
        """Connections from before are replaced without anyone noticing, those of who was idle meanwhile too."""
        busy, idle = make_own_broker(), make_own_broker()
        for broker in (busy, idle):
            broker.enqueue(message("before"))
        time.sleep(self.remembered)
        own_server.kill()
        begin = time.monotonic()
        with pytest.raises(PublishFailed, match=own_server.address):
            busy.enqueue(message("resize"))
        assert time.monotonic() - begin < 5
        own_server.start()
        assert eventually(lambda: is_published(busy))
        idle.enqueue(message("after"))

    def test_job_whose_workers_die_is_begun_no_more_than_the_setting_says(
        self, make_broker: Make, broker_options: dict[str, Any], consume: Make
    ) -> None:
        """After that it lies in the dead letters, and harms nobody."""
        survivor = make_broker(**self.deaths)
        survivor.enqueue(message("deadly", 1))
        for _ in range(2):
            assert self._die_with_a_job({**broker_options, **self.deaths}) == 0
        with override_settings(SCALEKIT_QUEUE_MAX_DELIVERIES=2):
            consumer = consume(survivor)
            letters = eventually(lambda: next(consumer) or survivor.dead_messages(QUEUE, 10))
        assert [(one.reason, json.loads(one.raw)["args"]) for one in letters] == [("died", [1])]

    def _die_with_a_job(self, options: dict[str, Any]) -> int:
        """Let a process of its own begin the next job, and end as by kill -9 while it runs."""
        given = json.dumps([settings.SETTINGS_MODULE, self.backend, options])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-P", Path(__file__).with_name("victim.py"), given],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDEVMODE": ""},
            check=False,
            timeout=60,
        )
        return done.returncode
