from __future__ import annotations

import pytest

from tests.integration.queue.processes import eventually
from tests.integration.queue.project.tasks import (
    call_out,
    kill_worker_of_actor,
    note,
    stumble,
    work,
)

pytestmark = pytest.mark.servers


@pytest.fixture
def queue_settings():
    return {"SCALEKIT_QUEUE_LEASE_SECONDS": 6}


def test_tasks_and_actors_run(broker, start_worker, journal):
    note.enqueue("task")
    call_out.send("actor")
    start_worker().ready()
    assert eventually(lambda: sorted(journal()) == ["ACTOR", "task"])
    assert eventually(lambda: broker.stats(["default"])["default"].ready == 0)


def test_job_that_fails_is_run_again(broker, start_worker, start_relay, journal):
    start_worker().ready()
    start_relay()
    stumble.enqueue(0)
    assert eventually(lambda: journal() == ["attempt 1", "attempt 2"], 30)


def test_actor_whose_worker_was_killed_is_run_again_at_once(broker, start_worker, journal):
    """The server sees the connection go; nobody waits for a heartbeat."""
    kill_worker_of_actor.send()
    first = start_worker()
    assert eventually(lambda: first.process.poll() is not None, 30), first.output
    start_worker()
    assert eventually(lambda: journal() == ["begun", "begun"], 15)


def test_actor_that_kills_its_workers_is_begun_three_times(broker, start_worker, journal):
    kill_worker_of_actor.send()
    for _ in range(3):
        worker = start_worker()
        assert eventually(lambda worker=worker: worker.process.poll() is not None, 30)
    call_out.send("fine")
    start_worker().ready()
    assert eventually(lambda: journal() == ["begun"] * 3 + ["FINE"])
    assert [one.reason for one in broker.dead_messages("default", 10)] == ["died"]


def test_task_whose_worker_was_killed_is_run_again(broker, start_worker, start_relay, journal):
    first = start_worker().ready()
    work.enqueue(1)
    assert eventually(lambda: journal() == ["begun"])
    first.process.kill()
    start_worker().ready()
    start_relay()
    assert eventually(lambda: journal()[-1:] == ["finished"], 30)


def test_restart_of_the_server_loses_no_job(broker, start_worker, start_relay, journal, rabbitmq):
    start_worker().ready()
    start_relay()
    note.enqueue("before")
    assert eventually(lambda: journal() == ["before"])
    rabbitmq.restart()
    note.enqueue("after")
    assert eventually(lambda: journal() == ["before", "after"], 45)
