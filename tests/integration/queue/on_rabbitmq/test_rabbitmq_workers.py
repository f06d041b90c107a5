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


def test_tasks_and_actors_run_and_what_fails_runs_again(broker, start_worker, start_relay, journal):
    start_relay()
    start_worker().ready()
    note.enqueue("task")
    call_out.send("actor")
    stumble.enqueue(0)
    ran = ["ACTOR", "attempt 1", "attempt 2", "task"]
    assert eventually(lambda: sorted(journal()) == ran, 30)
    assert eventually(lambda: broker.stats(["default"])["default"].ready == 0)


def test_actor_that_kills_its_workers_is_begun_three_times(broker, start_worker, journal):
    """By the next worker at once: the server sees the connection go, and nobody waits for a heartbeat."""
    kill_worker_of_actor.send()
    for _ in range(3):
        worker = start_worker()
        assert eventually(lambda worker=worker: worker.process.poll() is not None, 30), (
            worker.output
        )
    call_out.send("fine")
    start_worker().ready()
    assert eventually(lambda: journal() == ["begun"] * 3 + ["FINE"])
    assert [one.reason for one in broker.dead_messages("default", 10)] == ["died"]


def test_task_whose_worker_was_killed_is_run_again(broker, start_worker, start_relay, journal):
    start_relay()
    first = start_worker().ready()
    work.enqueue(2)
    assert eventually(lambda: journal() == ["begun"], 30)
    first.process.kill()
    start_worker()
    assert eventually(lambda: journal() == ["begun", "begun", "finished"], 45)


def test_restart_of_the_server_loses_no_job(broker, start_worker, start_relay, journal, rabbitmq):
    start_relay()
    start_worker().ready()
    note.enqueue("before")
    assert eventually(lambda: journal() == ["before"], 30)
    rabbitmq.restart()
    note.enqueue("after")
    assert eventually(lambda: journal() == ["before", "after"], 60)
