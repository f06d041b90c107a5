"""Workers that die, and workers that only seem to, on a real Valkey."""

from __future__ import annotations

import signal
import time

import pytest
from dramatiq.brokers.redis import RedisBroker

from tests.integration.queue.on_redis.crew import SOON
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers


def stats(broker):
    return broker.stats(["default"])["default"]


def is_empty(broker):
    found = stats(broker)
    return (found.ready, found.in_flight) == (0, 0)


class TestSoonDead:
    @pytest.fixture
    def redis_options(self, redis_options):
        return {**redis_options, "heartbeat_timeout": SOON}

    def test_jobs_of_a_killed_worker_are_run_after_twice_the_time_out(
        self, redis_broker, actors, crew, make_broker
    ):
        """The one it ran, and the one it had fetched and not begun."""
        worker = crew.start(THREADS="1")
        actors.linger.send("long", 60)
        assert eventually(lambda: crew.journal() == ["long"])
        actors.note.send("fetched")
        assert eventually(lambda: stats(redis_broker).in_flight == 2)
        crew.work(make_broker())
        worker.kill()
        slowness = 10
        assert eventually(
            lambda: sorted(crew.journal()) == ["fetched", "long", "long"],
            2 * SOON / 1000 + slowness,
        )

    def test_deadly_job_is_begun_three_times_and_those_that_lie_beside_it_are_run(
        self, redis_broker, actors, crew, make_broker
    ):
        """It is fetched with all of them and goes first, so that each death is theirs as well."""
        beside = [actors.note.message(f"beside {number}") for number in range(5)]
        redis_broker.enqueue_many([actors.die.message("deadly"), *beside])
        for _ in range(3):
            assert crew.start(THREADS="1", dramatiq_queue_prefetch="6").wait(20) == -signal.SIGKILL
        assert crew.journal() == ["deadly"] * 3
        crew.work(make_broker())
        assert eventually(lambda: len(crew.journal()) == 3 + 5)
        (dead,) = redis_broker.dead_messages("default", 10)
        assert (dead.reason, dead.deliveries) == ("died", 3)

    def test_stopped_worker_gives_back_at_once_what_it_had_not_begun(
        self, redis_broker, actors, crew
    ):
        worker = crew.start(THREADS="1")
        actors.work.send("running", 1.5)
        assert eventually(lambda: crew.journal() == ["running begun"])
        actors.note.send("fetched")
        assert eventually(lambda: stats(redis_broker).in_flight == 2)
        worker.terminate()
        assert worker.wait(15) == 0
        assert crew.journal() == ["running begun", "running done"]
        assert (stats(redis_broker).ready, stats(redis_broker).in_flight) == (1, 0)

    def test_wrong_clocks_of_others_make_nobody_dead(
        self, redis_broker, actors, crew, redis_options, monkeypatch
    ):
        """Producers of ours, of Dramatiq's own, and workers, five minutes off to either side."""
        crew.start_all(*({"THREADS": "1", "CLOCK_AHEAD": ahead} for ahead in ("0", "300", "-300")))
        actors.work.send("long", 3 * SOON / 1000)
        assert eventually(lambda: crew.journal() == ["long begun"])
        stock = RedisBroker(url=redis_options["url"], namespace=redis_options["namespace"])
        stock.maintenance_chance = 1_000_000
        real = time.time
        for ahead in (300, -300):
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda ahead=ahead: real() + ahead)
                actors.note.send("ours")
                stock.enqueue(actors.note.message("stock"))
        stock.client.close()
        assert eventually(lambda: len(crew.journal()) >= 6 and is_empty(redis_broker))
        assert sorted(crew.journal()) == ["long begun", "long done", *["ours"] * 2, *["stock"] * 2]

    def test_worker_that_was_stopped_for_too_long_takes_nothing_from_its_successor(
        self, redis_broker, actors, crew, make_broker
    ):
        """What it ran it runs to the end, as nobody can stop it; what it had only fetched it leaves alone."""
        first = crew.start(THREADS="1")
        actors.work.send("long", 2)
        assert eventually(lambda: crew.journal() == ["long begun"])
        actors.note.send("fetched")
        assert eventually(lambda: stats(redis_broker).in_flight == 2)
        first.send_signal(signal.SIGSTOP)
        crew.work(make_broker(), threads=1)
        assert eventually(lambda: crew.journal().count("long begun") == 2)
        first.send_signal(signal.SIGCONT)
        assert eventually(lambda: crew.journal().count("long done") == 2)
        assert eventually(lambda: is_empty(redis_broker))
        assert crew.journal().count("fetched") == 1


class TestServerAway:
    """For longer than a worker may be silent: that is no reason to take it for dead."""

    @pytest.fixture
    def server(self, scalekit_servers):
        return scalekit_servers.valkey(appendonly=True)

    @pytest.fixture
    def redis_options(self, server):
        return {"url": server.url, "heartbeat_timeout": 2 * SOON, "timeout": 0.5}

    @pytest.fixture
    def holder(self, crew, actors, make_broker):
        """Give a worker with a long job; there is another, idle one."""
        holder = crew.start(THREADS="1")
        actors.work.send("long", 6)
        assert eventually(lambda: crew.journal() == ["long begun"])
        crew.work(make_broker(), threads=1)
        return holder

    def is_run_once(self, holder, redis_broker, crew, before):
        """Let the other worker be the first to look after the queue again."""
        assert eventually(lambda: looked_at(redis_broker) > before + 2 * SOON)
        assert not redis_broker.client.exists(f"{redis_broker.namespace}:__deaths__.default")
        holder.send_signal(signal.SIGCONT)
        assert eventually(lambda: "long done" in crew.journal(), 20)
        assert eventually(lambda: is_empty(redis_broker), 20)
        assert crew.journal() == ["long begun", "long done"]

    def test_restart_of_the_server_makes_nobody_dead(self, server, redis_broker, holder, crew):
        assert eventually(lambda: looked_at(redis_broker))
        before = looked_at(redis_broker)
        holder.send_signal(signal.SIGSTOP)
        server.kill()
        time.sleep(2.5 * SOON / 1000)
        server.start()
        self.is_run_once(holder, redis_broker, crew, before)

    def test_server_that_hangs_makes_nobody_dead(self, server, redis_broker, holder, crew):
        assert eventually(lambda: looked_at(redis_broker))
        before = looked_at(redis_broker)
        holder.send_signal(signal.SIGSTOP)
        with server.frozen():
            time.sleep(2.5 * SOON / 1000)
        self.is_run_once(holder, redis_broker, crew, before)


def looked_at(broker):
    """Return when a worker looked after the queue last, in milliseconds."""
    found = broker.client.hget(f"{broker.namespace}:__looks__", "default") or b"0"
    return int(found.split(b" ")[0])
