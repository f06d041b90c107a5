"""Results, as the Tasks framework asks for them."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from dramatiq import Message

from scalekit.queue.frameworks import framework
from scalekit.queue.models import TaskRecord
from scalekit.queue.workers import declare
from tests.queue.sample_tasks import attempt, explode, give_back, note, think

exceptions = framework().exceptions


@pytest.mark.parametrize("id_", ["123", "", "no id at all", str(uuid4()), None, "\x00"])
def test_result_that_is_not_there_or_cannot_be_does_not_exist(broker, id_):
    with pytest.raises(exceptions.TaskResultDoesNotExist):
        note.get_result(id_)
    with pytest.raises(exceptions.TaskResultDoesNotExist):
        async_to_sync(note.aget_result)(id_)


@pytest.mark.parametrize("value", [None, 0, "", [], {"deep": [1, {"er": None}]}, "text"])
def test_return_value_is_kept(broker, work_off, value):
    result = give_back.enqueue(value)
    work_off()
    result.refresh()
    assert (result.status, result.return_value) == ("SUCCESSFUL", value)
    assert result.enqueued_at <= result.started_at <= result.finished_at


def test_result_of_an_async_task(broker, work_off):
    result = think.enqueue("x")
    work_off()
    async_to_sync(result.arefresh)()
    assert result.is_finished


def test_result_says_all_that_was_known_at_enqueueing(broker, settings):
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
    enqueued = note.using(priority=7, queue_name="other").enqueue(1, two=2)
    found = note.get_result(enqueued.id)
    assert found == enqueued
    assert (found.task.priority, found.task.queue_name) == (7, "other")


def test_job_between_two_attempts_is_ready_and_shows_what_went_wrong(broker, work_off, settings):
    settings.SCALEKIT_QUEUE_MIN_BACKOFF = 60
    result = explode.enqueue()
    work_off()
    result.refresh()
    assert (result.status, result.attempts, result.finished_at) == ("READY", 1, None)
    assert result.errors[0].exception_class is ValueError
    assert "no luck" in result.errors[0].traceback


def test_errors_of_all_attempts_are_kept_also_of_a_job_that_succeeds(broker, work_off):
    result = attempt.enqueue()
    work_off()
    result.refresh()
    assert (result.status, result.attempts, len(result.errors)) == ("SUCCESSFUL", 2, 1)


def test_failed_job_has_no_return_value(broker, work_off, settings):
    settings.SCALEKIT_QUEUE_MAX_RETRIES = 0
    result = explode.enqueue()
    work_off()
    result.refresh()
    assert result.status == "FAILED"
    with pytest.raises(ValueError, match="Task failed"):
        result.return_value  # noqa: B018 - it raises


def test_result_of_another_task_is_a_mismatch(broker):
    with pytest.raises(exceptions.TaskResultMismatch):
        think.get_result(note.enqueue().id)


def test_result_of_another_backend_does_not_exist(broker, settings):
    settings.TASKS = {**settings.TASKS, "second": settings.TASKS["default"]}
    result = note.enqueue()
    with pytest.raises(exceptions.TaskResultDoesNotExist):
        note.using(backend="second").get_result(result.id)


@pytest.mark.parametrize("path", ["os.system", "tests.queue.sample_tasks.gone", "nowhere.to_go"])
def test_result_of_a_task_that_is_not_in_this_release_does_not_exist(broker, path):
    result = note.enqueue()
    TaskRecord.objects.update(path=path)
    with pytest.raises(exceptions.TaskResultDoesNotExist, match=path):
        note.get_result(result.id)


def test_result_that_is_returned_is_a_copy(broker):
    result = note.enqueue([1])
    result.args.append("changed")
    result.worker_ids.append("changed")
    found = note.get_result(result.id)
    assert (found.args, found.worker_ids) == ([[1]], [])


def test_value_that_no_database_keeps_fails_without_a_retry(broker, work_off):
    result = give_back.enqueue("x")
    TaskRecord.objects.update(path="tests.queue.sample_tasks.give_back_infinity")
    work_off()
    record = TaskRecord.objects.get(pk=result.id)
    assert (record.status, record.attempt) == ("FAILED", 1)
    assert record.errors[0]["exception_class_path"].endswith(".NotKeepable")


def test_record_counts_and_not_what_a_message_says(broker, work_off, done):
    """Whoever can write to the broker cannot make a job that is waited for do something else."""
    note.enqueue("word")
    message = next(iter(broker.queues["default"].queue))
    broker.queues["default"].queue[0] = message.replace(b"word", b"ward")
    work_off()
    assert done == [(["word"], {})]


def test_message_to_an_actor_that_names_a_record_does_not_touch_it(broker, work_off, done):
    result = note.using(run_after=timezone.now() + timedelta(days=1)).enqueue()
    declare(broker)
    broker.enqueue(
        Message("default", "shout", ("hey",), {}, {"database": "default"}, message_id=result.id)
    )
    work_off()
    assert done == ["HEY"]
    assert note.get_result(result.id).status == "READY"


def test_error_is_kept_once_although_it_is_written_twice(broker):
    from scalekit.queue.records.steps import Ending

    row = TaskRecord(errors=[])
    ending = Ending(row, error={"traceback": "once"})
    row.errors = ending.fields_at(timezone.now())["errors"]  # then the transaction is rolled back
    assert len(ending.fields_at(timezone.now())["errors"]) == 1
