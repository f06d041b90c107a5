"""Jobs that no worker survives."""

from __future__ import annotations

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import (
    kill_worker,
    kill_worker_of_actor,
    kill_worker_without_a_record,
    note,
)

pytestmark = pytest.mark.servers


@pytest.fixture
def options(options):
    """Let the broker notice soon that a worker has died."""
    return {**options, "heartbeat_timeout": 2000}


@pytest.fixture
def queue_settings():
    """Let the records notice it soon."""
    return {"SCALEKIT_QUEUE_LEASE_SECONDS": 2}


def test_task_that_kills_its_workers_runs_three_times_and_is_dead(
    broker, start_workers, journal, rows
):
    start_workers("--min=1").ready()
    kill_worker.enqueue()
    assert eventually(lambda: rows("status") == [("FAILED",)], 60), rows("status", "attempt")
    assert journal() == ["begun"] * 3
    ((errors, deaths),) = rows("errors", "deaths")
    assert deaths == 3
    assert "died" in str(errors)
    note.enqueue("the workers live on")
    assert eventually(lambda: "the workers live on" in journal(), 30)


@pytest.mark.parametrize(
    "enqueue", [kill_worker_of_actor.send, kill_worker_without_a_record.enqueue]
)
def test_what_has_no_record_and_kills_its_workers_runs_three_times_and_is_dead(
    broker, start_worker, start_relay, journal, rows, enqueue
):
    enqueue()
    start_relay()
    for _ in range(3):
        worker = start_worker()
        assert eventually(lambda worker=worker: worker.process.poll() is not None, 60)
    start_worker()
    assert eventually(lambda: rows("status") == [("FAILED",)], 60)
    assert journal() == ["begun"] * 3
    assert "died" in str(rows("errors"))
