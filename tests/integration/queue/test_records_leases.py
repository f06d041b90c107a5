"""Whose job it is: a worker that is lost, one that comes back too late, one that only takes long."""

from __future__ import annotations

import signal

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.records import give_pid, spin

pytestmark = pytest.mark.servers


@pytest.fixture
def queue_settings():
    return {"SCALEKIT_QUEUE_LEASE_SECONDS": 2}


@pytest.fixture
def options(options):
    return {**options, "heartbeat_timeout": 3000}


def begun(journal):
    """Return the process ids that have begun the job, in order."""
    return [int(line.split()[1]) for line in journal() if line.startswith("begun")]


def test_worker_that_comes_back_after_its_lease_is_not_believed(
    broker, start_worker, start_relay, journal, rows
):
    first = start_worker().ready()
    start_relay()
    result = give_pid.enqueue(3)
    assert eventually(lambda: begun(journal) == [first.process.pid])
    first.process.send_signal(signal.SIGSTOP)
    second = start_worker().ready()
    assert eventually(lambda: rows("status") == [("SUCCESSFUL",)], 40)
    first.process.send_signal(signal.SIGCONT)
    assert eventually(lambda: f"finished {first.process.pid}" in journal())
    first.process.terminate()  # it has said all it has to say once it has ended
    first.wait()
    result.refresh()
    assert result.return_value == second.process.pid
    assert rows("status", "attempt", "deaths") == [("SUCCESSFUL", 2, 1)]


def test_job_of_a_killed_worker_does_not_stay_running(
    broker, start_worker, start_relay, journal, rows
):
    first = start_worker().ready()
    start_relay()
    give_pid.enqueue(1)
    assert eventually(lambda: len(begun(journal)) == 1)
    first.process.kill()
    first.wait()
    assert rows("status") == [("RUNNING",)]
    start_worker().ready()
    assert eventually(lambda: rows("status", "attempt") == [("SUCCESSFUL", 2)], 30)


def test_job_that_takes_longer_than_its_lease_is_run_once_also_while_its_worker_drains(
    broker, start_worker, start_relay, journal, rows
):
    first = start_worker().ready()
    start_relay()
    give_pid.enqueue(6)
    assert eventually(lambda: len(begun(journal)) == 1)
    first.process.terminate()
    start_worker().ready()
    assert first.wait(30) == 0, first.output
    assert len(begun(journal)) == 1
    assert rows("status", "attempt", "deaths") == [("SUCCESSFUL", 1, 0)]


def test_task_that_runs_too_long_is_interrupted(broker, start_worker, rows):
    start_worker().ready()
    spin.enqueue()
    assert eventually(lambda: rows("status") == [("FAILED",)], 20)
    assert rows("errors->0->>'exception_class_path'")[0][0].endswith(".TimeLimitExceeded")
