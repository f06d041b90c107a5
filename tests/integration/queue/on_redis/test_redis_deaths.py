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


def test_jobs_of_a_killed_worker_are_run_within_30_seconds(redis_broker, actors, crew):
    """The one it ran, and the one it had fetched and not begun."""
    worker = crew.start(THREADS="1")
    actors.work.send("long", 60)
    assert eventually(lambda: crew.journal() == ["long begun"])
    actors.note.send("fetched")
    assert eventually(lambda: stats(redis_broker).in_flight == 2)
    crew.start(THREADS="2")
    worker.kill()
    assert eventually(lambda: sorted(crew.journal()) == ["fetched", "long begun", "long begun"], 30)


class TestSoonDead:
    @pytest.fixture
    def redis_options(self, redis_options):
        return {**redis_options, "heartbeat_timeout": SOON}

    def test_deadly_job_is_begun_three_times_and_those_that_lie_beside_it_are_run(
        self, redis_broker, actors, crew
    ):
        """It is fetched with all of them and goes first, so that each death is theirs as well."""
        beside = [actors.note.message(f"beside {number}") for number in range(5)]
        redis_broker.enqueue_many([actors.die.message("deadly"), *beside])
        for _ in range(3):
            assert crew.start(THREADS="1", dramatiq_queue_prefetch="6").wait(20) == -signal.SIGKILL
        assert crew.journal() == ["deadly"] * 3
        crew.start(THREADS="1")
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
        crew.start(THREADS="1")
        actors.work.send("long", 5 * SOON / 1000)
        assert eventually(lambda: crew.journal() == ["long begun"])
        stock = RedisBroker(url=redis_options["url"], namespace=redis_options["namespace"])
        stock.maintenance_chance = 1_000_000
        real = time.time
        for ahead in (300, -300):
            crew.start(THREADS="1", CLOCK_AHEAD=str(ahead))
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda ahead=ahead: real() + ahead)
                actors.note.send("ours")
                stock.enqueue(actors.note.message("stock"))
        stock.client.close()
        assert eventually(lambda: "long done" in crew.journal())
        assert sorted(crew.journal()) == ["long begun", "long done", *["ours"] * 2, *["stock"] * 2]

    def test_worker_that_was_stopped_for_too_long_takes_nothing_from_its_successor(
        self, redis_broker, actors, crew
    ):
        """What it ran it runs to the end, as nobody can stop it; what it had only fetched it leaves alone."""
        first = crew.start(THREADS="1")
        actors.work.send("long", 2)
        assert eventually(lambda: crew.journal() == ["long begun"])
        actors.note.send("fetched")
        assert eventually(lambda: stats(redis_broker).in_flight == 2)
        first.send_signal(signal.SIGSTOP)
        crew.start(THREADS="1")
        assert eventually(lambda: crew.journal().count("long begun") == 2)
        first.send_signal(signal.SIGCONT)
        assert eventually(lambda: crew.journal().count("long done") == 2)
        assert eventually(
            lambda: (stats(redis_broker).ready, stats(redis_broker).in_flight) == (0, 0)
        )
        assert crew.journal().count("fetched") == 1


class TestServerAway:
    """For longer than a worker may be silent: that is no reason to take it for dead."""

    @pytest.fixture
    def server(self, scalekit_servers):
        return scalekit_servers.valkey(appendonly=True)

    @pytest.fixture
    def redis_options(self, server):
        return {"url": server.url, "heartbeat_timeout": SOON, "timeout": 0.5}

    def test_restart_of_the_server_makes_nobody_dead(self, server, redis_broker, actors, crew):
        for _ in range(2):
            crew.start(THREADS="1")
        actors.work.send("long", 6)
        assert eventually(lambda: crew.journal() == ["long begun"])
        server.kill()
        time.sleep(3 * SOON / 1000)
        server.start()
        assert eventually(lambda: "long done" in crew.journal())
        assert crew.journal() == ["long begun", "long done"]

    def test_server_that_hangs_makes_nobody_dead(self, server, redis_broker, actors, crew):
        for _ in range(2):
            crew.start(THREADS="1")
        actors.work.send("long", 6)
        assert eventually(lambda: crew.journal() == ["long begun"])
        with server.frozen():
            time.sleep(3 * SOON / 1000)
        actors.note.send("after")
        assert eventually(lambda: "after" in crew.journal())
        assert eventually(lambda: "long done" in crew.journal())
        assert sorted(crew.journal()) == ["after", "long begun", "long done"]
