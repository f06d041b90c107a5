"""A server that is killed or hangs while jobs fail, wait and come: none is lost."""

from __future__ import annotations

import time

import pytest

from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers


@pytest.fixture
def server(scalekit_servers):
    """Give a Valkey of this test's own, whose data outlives a kill -9."""
    return scalekit_servers.valkey(appendonly=True)


@pytest.fixture
def redis_options(server):
    return {"url": server.url, "timeout": 0.5}


def test_jobs_that_fail_while_there_is_no_server_are_run_again(
    server, redis_broker, actors, crew, make_broker
):
    """Dramatiq itself acknowledges what it could not enqueue again, and the job is gone."""
    crew.work(make_broker(), threads=8)
    for number in range(8):
        actors.stumble.send(number, 0.5)
    assert eventually(lambda: len(crew.journal()) == 8)
    server.kill()
    time.sleep(1)  # they fail meanwhile
    server.start()
    twice = sorted(str(number) for number in range(8)) * 2
    assert eventually(lambda: sorted(crew.journal()) == sorted(twice), 30)
    assert redis_broker.stats(["default"])["default"].dead == 0


def test_delayed_jobs_survive_a_restart_of_the_server(server, actors, crew, make_broker):
    crew.work(make_broker())
    for number in range(20):
        actors.note.send_with_options(args=(number,), delay=1500)
    server.kill()
    server.start()
    assert eventually(lambda: len(crew.journal()) == 20)
    assert sorted(crew.journal(), key=int) == [str(number) for number in range(20)]


def test_jobs_that_finish_while_the_server_hangs_are_run_once(
    server, redis_broker, actors, crew, make_broker
):
    crew.work(make_broker(), threads=4)
    for number in range(4):
        actors.work.send(number, 0.4)
    assert eventually(lambda: len(crew.journal()) == 4)
    with server.frozen():
        time.sleep(1.5)  # they finish, and cannot say so
    actors.note.send("after")
    assert eventually(lambda: "after" in crew.journal())

    def settled():
        found = redis_broker.stats(["default"])["default"]
        return (found.ready, found.in_flight) == (0, 0)

    assert eventually(settled)
    assert len(crew.journal()) == 4 * 2 + 1


def test_idle_worker_notices_that_the_server_came_back(server, actors, crew, make_broker):
    crew.work(make_broker())
    server.kill()
    server.start()
    actors.note.send("a")
    assert eventually(lambda: crew.journal() == ["a"])


def test_every_wait_is_bounded(server, redis_broker, actors):
    actors.note.send("warm")
    begin = time.monotonic()
    with server.frozen():
        with pytest.raises(PublishFailed, match="may or may not run"):
            actors.note.send("a")
        with pytest.raises(PublishFailed):
            redis_broker.enqueue_many([actors.note.message("b")])
        with pytest.raises(BrokerUnreachable, match="does not answer"):
            redis_broker.stats(["default"])
        with pytest.raises(BrokerUnreachable):
            redis_broker.ping(0.2)
    assert time.monotonic() - begin < 4


def test_job_that_was_not_confirmed_is_not_stored_twice(server, redis_broker, actors):
    """The server has the command and runs it once it can; what is sent again has another id."""
    actors.note.send("warm")
    with server.frozen(), pytest.raises(PublishFailed):
        actors.note.send("a")
    assert eventually(lambda: redis_broker.stats(["default"])["default"].ready == 2)
