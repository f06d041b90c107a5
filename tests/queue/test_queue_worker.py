from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import DataError
from django.utils import timezone
from dramatiq import Message

from scalekit.core.context import unit_of_work
from scalekit.queue.models import TaskRecord
from tests.queue.sample_tasks import (
    TENANT,
    attempt,
    explode,
    give_back_a_set,
    interrupt_python,
    note,
    ponder,
    quit_python,
    recall,
    shout,
    skip_me,
    sleep_for_long,
    think,
    time_out_by_itself,
)

NOTE = "tests.queue.sample_tasks.note"


@pytest.fixture
def send(broker):
    """Give a function that puts a message of one's own making into the queue."""
    from scalekit.queue.execution import task_actor

    def send(*args, options=None, **kwargs):
        name = task_actor(broker, "default")
        options = {"backend": "default"} if options is None else options
        broker.enqueue(Message("default", name, args, kwargs, options))

    return send


def test_task_runs_with_its_arguments(broker, work_off, done):
    note.enqueue(1, two=2)
    work_off()
    assert done == [([1], {"two": 2})]


def test_async_task_runs(broker, work_off, done):
    think.enqueue("deep")
    work_off()
    assert done == ["deep"]


def test_actors_run_sync_and_async(broker, work_off, done):
    shout.send("hey")
    ponder.send("hm")
    work_off()
    assert sorted(done) == ["HEY", "hm"]


def test_actor_can_be_called_as_a_function(done):
    shout("hey")
    assert done == ["HEY"]


def test_portable_facts_arrive_and_do_not_stay(broker, work_off, done):
    with unit_of_work():
        TENANT.set("acme")
        recall.enqueue()
    recall.enqueue()
    work_off()
    assert done == [{"test_tenant": "acme"}, {}]


def test_facts_travel_with_actors_too(broker, work_off, heard):
    finished = heard("queue_job_finished")
    with TENANT.bind("acme"):
        message = shout.send("hey")
    assert message.options["scalekit"] == {"test_tenant": "acme"}
    work_off()
    assert finished[0]["task"] == "shout"


def test_failing_task_is_retried_and_then_dead(broker, work_off, settings, done, heard):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 2
    finished = heard("queue_job_finished")
    explode.enqueue()
    work_off()
    assert done == ["boom"] * 3
    assert [job["outcome"] for job in finished] == ["retrying", "retrying", "failed"]
    assert broker.dead_letters == []  # the record is


def test_three_retries_are_the_default(broker, work_off, done):
    explode.enqueue()
    work_off()
    assert done == ["boom"] * 4


def test_context_counts_attempts_and_knows_the_id(broker, work_off, done):
    result = attempt.enqueue()
    work_off()
    assert done == [(1, result.id), (2, result.id)]


def test_unserialisable_return_value_fails_without_a_retry(broker, work_off, signals, done):
    give_back_a_set.enqueue()
    work_off()
    assert done == ["ran"]
    assert signals[-1][2] == "FAILED"


def test_task_that_exits_python_does_not_end_the_worker(broker, work_off, settings, done):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    quit_python.enqueue()
    note.enqueue()
    work_off()
    assert len(done) == 1


def test_one_event_a_job_says_what_there_is_to_log(broker, work_off, heard):
    finished = heard("queue_job_finished")
    note.enqueue()
    work_off()
    (job,) = finished
    assert (job["task"], job["queue"], job["outcome"]) == (NOTE, "default", "succeeded")
    assert 0 <= job["duration"] < 5
    assert 0 <= job["wait"] < 5


def test_event_is_told_within_the_unit_of_work(broker, work_off):
    from scalekit.core.context import logged_facts
    from scalekit.queue.events import JOB_FINISHED

    said = []
    undo = JOB_FINISHED.subscribe(lambda *_: said.append((TENANT.get(), logged_facts())))
    with TENANT.bind("acme"):
        result = note.enqueue()
    work_off()
    undo()
    assert said == [("acme", {"job_id": result.id})]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("os.system", ["true"], {}), "no task"),
        (("tests.queue.sample_tasks.plain_function", [], {}), "no task"),
        (("tests.queue.sample_tasks.task", [], {}), "no task"),
        (("tests.queue.sample_tasks.by_another_name", [], {}), "no task"),
        (("this.zen", [], {}), "module"),
        ((".relative", [], {}), "module"),
        (("", [], {}), "module"),
        ((NOTE, "no list", {}), "shape"),
        ((NOTE, [], []), "shape"),
        ((NOTE,), "shape"),
        ((1, [], {}), "shape"),
    ],
)
def test_hostile_message_is_refused_and_dead(broker, work_off, send, done, args, reason):
    send(*args)
    work_off()
    (dead,) = broker.dead_letters
    assert (dead._exception.reason, done) == (reason, [])


def test_refusal_is_counted_without_the_hostile_name(broker, work_off, send, heard):
    refused, finished = heard("queue_message_refused"), heard("queue_job_finished")
    send("os.system", ["true"], {})
    work_off()
    assert [(r["queue"], r["reason"]) for r in refused] == [("default", "no task")]
    assert [(f["task"], f["outcome"]) for f in finished] == [("unknown", "refused")]


def test_module_outside_the_apps_is_not_even_imported(broker, work_off, send):
    import sys

    send("antigravity.fly", [], {})
    work_off()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "options", [{}, {"backend": "nowhere"}, {"backend": ["default"]}, {"backend": None}]
)
def test_message_of_no_backend_of_ours_is_refused(broker, work_off, send, heard, done, options):
    refused = heard("queue_message_refused")
    send(NOTE, [], {}, options=options)
    work_off()
    assert ([r["reason"] for r in refused], done) == (["backend"], [])


@pytest.mark.parametrize("facts", [["no", "dict"], "text", {"test_tenant": 1, "made_up": 2}])
def test_facts_that_cannot_be_read_are_left_out(broker, work_off, send, heard, done, facts):
    refused = heard("fact_refused")
    send(NOTE, [], {}, options={"backend": "default", "scalekit": facts, "published_at": "x"})
    work_off()
    assert len(done) == 1
    assert refused


def test_task_of_a_newer_release_is_tried_again(broker, work_off, send, settings, heard):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 1
    finished = heard("queue_job_finished")
    send("tests.queue.sample_tasks.not_there_yet", [], {})
    work_off()
    assert [f["outcome"] for f in finished] == ["retrying", "failed"]


def test_refusal_does_not_log_arguments(broker, work_off, send, caplog):
    with caplog.at_level(logging.INFO, "scalekit"):
        send("os.system", ["secret"], {})
        work_off()
    assert "secret" not in "".join(r.getMessage() for r in caplog.records if "scalekit" in r.name)


def test_async_task_is_ended_at_its_time_limit(broker, work_off):
    result = sleep_for_long.enqueue()
    work_off()
    result.refresh()
    assert result.errors[0].exception_class_path.endswith(".TimeLimitExceeded")
    assert "0.2 seconds" in result.errors[0].traceback


def test_timeout_of_an_async_tasks_own_is_not_taken_for_its_limit(broker, work_off, settings):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    result = time_out_by_itself.enqueue()
    work_off()
    result.refresh()
    assert result.errors[0].exception_class is TimeoutError


@pytest.mark.parametrize("ending", [skip_me, quit_python, interrupt_python])
def test_however_a_task_ends_its_record_says_so(broker, work_off, settings, ending):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    result = ending.enqueue()
    work_off()
    result.refresh()
    assert result.status == "FAILED"


def test_job_of_a_message_that_is_too_old_is_failed_and_not_run(broker, work_off, done):
    result = note.using(run_after=timezone.now() + timedelta(seconds=1)).enqueue()
    TaskRecord.objects.update(options={"max_age": -1})
    work_off()
    result.refresh()
    assert (result.status, done) == ("FAILED", [])


def test_retries_and_backoff_of_the_task_count_more_than_the_settings(broker, work_off, settings):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 99
    result = explode.enqueue()
    TaskRecord.objects.update(options={"max_retries": 1, "min_backoff": 1, "max_backoff": 1})
    work_off()
    result.refresh()
    assert (result.status, result.attempts) == ("FAILED", 2)


def test_value_that_its_record_does_not_take_makes_the_job_failed(broker, work_off, monkeypatch):
    from scalekit.queue import records

    finish = records.finish

    def refuse_values(job, *, value=None, error=None):
        if error is None:
            raise DataError("numeric field overflow")
        return finish(job, error=error)

    monkeypatch.setattr(records, "finish", refuse_values)
    result = note.enqueue()
    work_off()
    result.refresh()
    assert (result.status, result.errors[0].exception_class) == ("FAILED", DataError)


def test_job_whose_claim_fails_unexpectedly_is_delivered_again_and_not_run(
    broker, work_off, monkeypatch, done
):
    from scalekit.queue import records
    from scalekit.queue.middleware import records as hooks

    claim, failed = records.claim, []

    def fail_once(job):
        if not failed:
            failed.append(job)
            raise ZeroDivisionError
        claim(job)

    monkeypatch.setattr(records, "claim", fail_once)
    monkeypatch.setattr(hooks, "AGAIN", 0.01)
    result = note.enqueue()
    work_off()
    result.refresh()
    assert (result.status, result.attempts, len(done)) == ("SUCCESSFUL", 1, 1)


def test_job_that_no_record_takes_loses_its_lease(broker, work_off, monkeypatch):
    from scalekit.queue import records
    from scalekit.queue.leases import held

    def refuse(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(records, "finish", refuse)
    result = note.enqueue()
    work_off()
    assert TaskRecord.objects.get().status == "RUNNING"
    assert result.id not in {str(job.record.pk) for job in held.of("default")}
