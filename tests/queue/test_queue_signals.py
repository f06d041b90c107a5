"""What a worker announces and logs of the attempts at a job."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from scalekit.queue.models import TaskRecord
from tests.queue.sample_tasks import explode, note, shout


def test_signals_of_success(broker, work_off, signals):
    note.enqueue()
    work_off()
    assert signals == [
        ("task_started", "DramatiqBackend", "RUNNING", 1),
        ("task_finished", "DramatiqBackend", "SUCCESSFUL", 1),
    ]


def test_finished_is_sent_once_after_the_last_attempt(broker, work_off, settings, signals):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 1
    explode.enqueue()
    work_off()
    assert [(name, status) for name, _, status, _ in signals] == [
        ("task_started", "RUNNING"),
        ("task_started", "RUNNING"),
        ("task_finished", "FAILED"),
    ]


def test_framework_logs_the_traceback_of_a_failed_task(broker, work_off, settings, caplog):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    result = explode.enqueue()
    work_off()
    lines = [r for r in caplog.records if r.name in {"django.tasks", "django_tasks"}]
    assert any(result.id in r.getMessage() and r.exc_info for r in lines)


def test_traceback_of_each_attempt_is_logged_once(broker, work_off, settings, caplog):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 1
    result = explode.enqueue()
    work_off()
    told = [record for record in caplog.records if record.exc_info]
    assert [record.levelname for record in told] == ["WARNING", "ERROR"]
    assert all(result.id in record.getMessage() for record in told)


def test_traceback_of_an_actor_is_logged_by_dramatiq(broker, work_off, settings, caplog):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    shout.send(7)
    work_off()
    assert [record.name for record in caplog.records if record.exc_info] == [
        "dramatiq.worker.WorkerThread"
    ]


@pytest.fixture
def run_unfollowed(broker, work_off, monkeypatch):
    """Give a function that runs a job well, whose followers cannot be sent, and returns its result."""

    def fail(record, *, using):
        raise ZeroDivisionError

    def run():
        result = note.using(run_after=timezone.now() + timedelta(seconds=1)).enqueue()
        TaskRecord.objects.update(options={"flow": {"steps": [{"path": "anything"}]}})
        work_off()
        result.refresh()
        return result

    monkeypatch.setattr("scalekit.queue.flows.advance", fail)
    return run


def test_job_whose_followers_cannot_be_sent_is_a_dead_letter_and_says_why(
    caplog, done, run_unfollowed
):
    result = run_unfollowed()
    assert (result.status, len(done)) == ("FAILED", 1)
    assert result.errors[-1].exception_class_path == "builtins.ZeroDivisionError"
    assert f"What follows job {result.id} (tests.queue.sample_tasks.note)" in caplog.text


def test_job_whose_followers_cannot_be_sent_is_announced_as_failed(heard, signals, run_unfollowed):
    finished = heard("queue_job_finished")
    run_unfollowed()
    assert [payload["outcome"] for payload in finished] == ["failed"]
    assert signals[-1][::2] == ("task_finished", "FAILED")
