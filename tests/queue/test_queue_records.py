"""From one state of a job to the next, without workers in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from dramatiq.middleware import SkipMessage

from scalekit.core.context import current_unit, unit_of_work
from scalekit.queue import records
from scalekit.queue.backoff import backoff
from scalekit.queue.claiming import confirm
from scalekit.queue.exceptions import MessageRefused, TaskCancelled, WorkerDied
from scalekit.queue.jobs import Job
from scalekit.queue.leases import held
from scalekit.queue.models import TaskRecord
from scalekit.queue.publishing import message_of
from scalekit.queue.records import store
from scalekit.queue.records.steps import verdict_on
from tests.queue.rows import lose_worker, row_of
from tests.queue.sample_tasks import note

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({}, "begin"),
        ({"run_after": ago(-60)}, "begin"),  # nobody will publish it again
        ({"run_after": ago(-60), "publish_at": ago(-60)}, "early"),
        ({"run_after": ago(1), "publish_at": ago(-60)}, "begin"),
        ({"cancel_asked": True}, "cancelled"),
        ({"status": "RUNNING", "leased_until": ago(-1)}, "running"),
        ({"status": "RUNNING", "leased_until": ago(-1), "cancel_asked": True}, "running"),
        ({"status": "RUNNING", "leased_until": ago(1)}, "take over"),
        ({"status": "RUNNING", "leased_until": ago(1), "deaths": 1}, "take over"),
        ({"status": "RUNNING", "leased_until": ago(1), "deaths": 2}, "died"),
        ({"status": "RUNNING", "leased_until": ago(1), "cancel_asked": True}, "cancelled"),
        ({"status": "SUCCESSFUL"}, "finished"),
        ({"status": "FAILED", "cancel_asked": True}, "finished"),
    ],
    ids=str,
)
def test_who_may_begin(row, verdict):
    assert verdict_on(TaskRecord(**row), NOW, 3) == verdict


@pytest.mark.parametrize(
    ("retries", "between"),
    [(0, (15, 30)), (1, (30, 60)), (4, (240, 480)), (9, (1800, 3600)), (10_000, (1800, 3600))],
)
def test_backoff_doubles_with_jitter_up_to_its_limit(retries, between):
    delays = {backoff(retries, 15, 3600) for _ in range(50)}
    assert between[0] <= min(delays) < max(delays) <= between[1]


def test_backoff_of_a_limit_below_its_start_is_the_limit():
    assert backoff(3, 15, 10) == 10


def test_claimed_job_is_running_and_not_published_again(claimed):
    row = row_of(claimed())
    assert (row.status, row.attempt, row.publish_at, len(row.worker_ids)) == ("RUNNING", 1, None, 1)
    assert row.started_at == row.last_attempted_at
    assert timedelta(seconds=14) < row.leased_until - row.started_at < timedelta(seconds=16)


def test_second_message_of_a_running_job_is_skipped(claimed, job):
    first = claimed()
    with pytest.raises(SkipMessage, match="running"):
        records.claim(job(note.get_result(first.message.message_id)))
    assert row_of(first).attempt == 1


@pytest.fixture
def lose_an_answer(monkeypatch):
    """Break the connection once, after what was to be written is committed."""
    write, lost = store.write, []

    def lose(database, steps):
        answers = write(database, steps)
        if not lost:
            lost.append(steps)
            raise OperationalError("the connection broke")
        return answers

    return lambda: monkeypatch.setattr(store, "write", lose)


def test_claim_whose_answer_was_lost_is_ours_and_no_death(job, lose_an_answer):
    found = job(note.enqueue())
    lose_an_answer()
    records.claim(found)
    assert found in held.of("default")
    assert (found.record.attempt, len(found.record.worker_ids)) == (1, 1)
    assert records.finish(found, value=1)
    row = row_of(found)
    assert (row.status, row.attempt, row.deaths) == ("SUCCESSFUL", 1, 0)


def test_job_that_another_thread_runs_is_not_taken_for_a_claim_whose_answer_was_lost(
    claimed, job, lose_an_answer
):
    copy = job(note.get_result(claimed().message.message_id))
    lose_an_answer()
    with pytest.raises(SkipMessage, match="running"):
        records.claim(copy)


def test_job_of_another_process_of_our_name_is_not_taken_for_a_claim_whose_answer_was_lost(
    claimed, job, lose_an_answer
):
    """Both would run it as one attempt, so that neither is fenced off."""
    other = claimed()
    held.forget()  # it is not this process that runs it
    TaskRecord.objects.update(last_attempted_at=timezone.now() - timedelta(minutes=1))
    lose_an_answer()
    with pytest.raises(SkipMessage, match="running"):
        records.claim(job(note.get_result(other.message.message_id)))


def test_message_of_a_job_that_is_gone_is_skipped(job):
    lost = job(note.enqueue())
    TaskRecord.objects.all().delete()
    with pytest.raises(SkipMessage, match="gone"):
        records.claim(lost)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"database": "nowhere"}, "database"), ({"database": ["default"]}, "database")],
)
def test_message_of_no_database_of_ours_is_refused(job, changes, reason):
    forged = job(note.enqueue())
    forged.message.options.update(changes)
    with pytest.raises(MessageRefused) as refusal:
        records.claim(forged)
    assert refusal.value.reason == reason


def test_success_is_final_and_expires(claimed, settings):
    settings.SCALEKIT_QUEUE_KEEP_SUCCESSFUL_SECONDS = 60
    done = claimed()
    assert records.finish(done, value={"answer": 42})
    row = row_of(done)
    assert (row.status, row.return_value) == ("SUCCESSFUL", {"answer": 42})
    assert (row.leased_until, row.publish_at) == (None, None)
    assert timedelta(seconds=59) < row.expires_at - row.finished_at < timedelta(seconds=61)


@pytest.mark.parametrize("name", ["KEEP_SUCCESSFUL_SECONDS", "KEEP_FAILED_SECONDS"])
def test_none_keeps_records_for_ever(claimed, settings, name):
    setattr(settings, f"SCALEKIT_QUEUE_{name}", None)
    job = claimed()
    records.finish(job, error=None if "SUCCESSFUL" in name else ValueError())
    assert row_of(job).expires_at is None


def test_failure_keeps_the_error_with_its_traceback(claimed):
    job = claimed()
    try:
        raise ValueError("a NUL \x00 and half of a pair \ud800")
    except ValueError as error:
        records.finish(job, error=error)
    (kept,) = row_of(job).errors
    assert row_of(job).status == "FAILED"
    assert kept["exception_class_path"] == "builtins.ValueError"
    assert "a NUL \\x00 and half of a pair \\ud800" in kept["traceback"]
    assert datetime.fromisoformat(kept["at"]) <= row_of(job).finished_at


def test_finished_job_does_not_finish_otherwise(claimed):
    job = claimed()
    records.finish(job, value=1)
    records.finish(job, error=ValueError())
    assert (row_of(job).status, row_of(job).return_value) == ("SUCCESSFUL", 1)


def test_write_that_is_repeated_after_a_lost_answer_is_no_late_one(claimed):
    job = claimed()
    assert records.finish(job, value=1)
    assert records.finish(job, value=1)
    assert job.ending == "succeeded"


def test_retry_is_ready_and_is_published_when_its_time_has_come(claimed):
    job = claimed()
    assert records.retry_later(job, ValueError("once"), 60)
    row = row_of(job)
    assert (row.status, row.attempt, len(row.errors)) == ("READY", 1, 1)
    assert row.publish_at == row.run_after
    assert timedelta(seconds=59) < row.publish_at - row.last_attempted_at < timedelta(seconds=62)


def test_second_copy_of_a_message_does_not_bring_the_retry_forward(claimed, job):
    first = claimed()
    records.retry_later(first, ValueError(), 60)
    with pytest.raises(SkipMessage, match="early"):
        records.claim(job(note.get_result(first.message.message_id)))


def test_late_confirmation_does_not_take_the_retry_out_of_the_outbox(claimed):
    published = TaskRecord.objects.get(pk=note.enqueue().id)
    retried = claimed(note.get_result(published.pk))
    records.retry_later(retried, ValueError(), 0)
    due = row_of(retried).publish_at
    confirm("default", [published])
    assert row_of(retried).publish_at == due


def test_postponed_job_has_used_no_attempt(claimed):
    job = claimed()
    records.postpone(job, 0)
    assert row_of(job).worker_ids == []
    again = claimed(note.get_result(job.message.message_id))
    assert (again.record.attempt, records.retries_of(again.record)) == (2, 0)


def test_only_the_latest_errors_are_kept(claimed):
    job = claimed()
    job.record.errors = [{"exception_class_path": "x", "traceback": str(n)} for n in range(60)]
    records.retry_later(job, ValueError("the last"), 0)
    errors = row_of(job).errors
    assert len(errors) == 50
    assert "the last" in errors[-1]["traceback"]


def test_worker_that_lost_its_lease_can_say_nothing(claimed, heard):
    rejected = heard("queue_completion_rejected")
    first = claimed()
    lose_worker(first)
    second = claimed(note.get_result(first.message.message_id))
    assert not records.finish(first, value="late")
    assert not records.retry_later(first, ValueError("late"), 0)
    assert first.ending == "late"
    assert len(rejected) == 2
    assert records.finish(second, value="in time")
    assert not records.finish(first, value="later still")
    assert row_of(first).return_value == "in time"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda job: records.finish(job, value=7), "SUCCESSFUL"),
        (lambda job: records.retry_later(job, ValueError(), 60), "READY"),
        (lambda job: records.postpone(job, 60), "READY"),
    ],
)
def test_worker_whose_claim_the_database_lost_in_a_crash_is_believed(claimed, end, status):
    """Or the job, published as it is, would wait for a quarter of an hour to be run again."""
    job = claimed()
    parked = timezone.now() + timedelta(seconds=900)
    unclaimed = {"leased_until": None, "started_at": None, "worker_ids": [], "publications": 0}
    TaskRecord.objects.update(status="READY", attempt=0, publish_at=parked, **unclaimed)
    assert end(job)
    row = row_of(job)
    assert (row.status, row.attempt, row.started_at) == (status, 1, job.record.started_at)
    assert row.publish_at is None or row.publish_at < parked - timedelta(seconds=800)


def test_job_whose_workers_die_is_begun_three_times_and_then_dead(claimed, job, heard):
    taken_over = heard("queue_job_taken_over")
    result = note.enqueue()
    for _ in range(3):
        lose_worker(claimed(result))
    with pytest.raises(SkipMessage):
        records.claim(job(result))
    result.refresh()
    assert (result.status, result.attempts) == ("FAILED", 3)
    assert result.errors[-1].exception_class is WorkerDied
    assert [event["outcome"] for event in taken_over] == ["begun again"] * 2 + ["given up"]


def test_death_uses_no_retry(claimed):
    result = note.enqueue()
    lose_worker(claimed(result))
    again = claimed(result)
    assert (again.record.deaths, records.retries_of(again.record)) == (1, 0)


def test_job_that_is_cancelled_while_it_waits_is_not_run(claimed, job):
    result = note.enqueue()
    TaskRecord.objects.update(cancel_asked=True)
    with pytest.raises(SkipMessage):
        records.claim(job(result))
    result.refresh()
    assert (result.status, result.errors[0].exception_class) == ("FAILED", TaskCancelled)


def test_job_that_is_cancelled_while_it_runs_is_not_run_again(claimed):
    job = claimed()
    TaskRecord.objects.update(cancel_asked=True)
    assert records.retry_later(job, ValueError(), 0)
    assert (row_of(job).status, job.ending) == ("FAILED", "failed")


def test_job_that_is_cancelled_as_it_succeeds_has_succeeded(claimed):
    job = claimed()
    TaskRecord.objects.update(cancel_asked=True)
    records.finish(job, value=1)
    assert row_of(job).status == "SUCCESSFUL"


def test_failing_from_outside_fences_off_the_worker(claimed):
    job = claimed()
    failed = {"exception_class_path": "builtins.MemoryError", "message": "killed"}
    assert records.fail(job.record.pk, "default", **failed)
    assert not records.fail(job.record.pk, "default", **failed)
    assert not records.finish(job, value="late")
    row = row_of(job)
    assert (row.status, row.errors[0]["traceback"]) == ("FAILED", "killed")
    assert row.expires_at > row.finished_at


def test_failing_from_outside_may_be_restricted_to_a_state(claimed):
    job = claimed()
    failed = {"exception_class_path": "x", "message": "y", "only_if": ["READY"]}
    assert not records.fail(job.record.pk, "default", **failed)
    assert row_of(job).status == "RUNNING"


def test_failing_from_outside_tells_the_frameworks_receivers(claimed):
    from scalekit.queue.frameworks import framework

    said = []

    def receive(task_result, **_):
        said.append(str(task_result.status))

    job = claimed()
    framework().signals.task_finished.connect(receive)
    try:
        records.fail(job.record.pk, "default", exception_class_path="x", message="y")
    finally:
        framework().signals.task_finished.disconnect(receive)
    assert said == ["FAILED"]


def test_progress_is_written_with_the_ending(claimed):
    job = claimed()
    job.progress = {"done": 3, "total": 3}
    records.finish(job)
    assert row_of(job).progress == {"done": 3, "total": 3}


def test_bookkeeping_is_no_write_of_the_job(claimed):
    """Or scalekit.db would send the reads of the job to the primary, as those of whoever has written."""
    row, writes = TaskRecord.objects.get(pk=note.enqueue("x").id), []

    def watch(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            writes.append(current_unit())
        return execute(sql, params, many, context)

    with unit_of_work() as unit, connection.execute_wrapper(watch):
        job = Job(message_of(row))
        records.claim(job)
        records.finish(job)
    assert len(writes) == 2
    assert not any(written_in is unit for written_in in writes)
