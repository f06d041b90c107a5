"""Cancelling: what waits never runs, what runs is interrupted, what has ended stays as it is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from uuid import uuid4

import pytest
from dramatiq.middleware import SkipMessage
from dramatiq.threading import raise_thread_exception

from scalekit.queue import cancel, cancelling, group, records, step
from scalekit.queue.exceptions import TaskCancelled
from scalekit.queue.frameworks import framework
from scalekit.queue.jobs import Job
from scalekit.queue.models import TaskRecord
from tests.integration.queue.processes import eventually
from tests.queue.flow_tasks import add, call_back, unrecorded
from tests.queue.playing import begin, called, succeed, waiting


def a_job():
    return Job(SimpleNamespace(options={}, message_id=str(uuid4()), queue_name="default"))


def task_of(func):
    return SimpleNamespace(func=func, call=func)


def interrupted(func, *, after):
    """Call `func` as a worker does, interrupt it once `after` is set, and return what it raised."""
    job = a_job()
    caught = []

    def work():
        try:
            cancelling.call(job, task_of(func))
        except BaseException as error:  # noqa: BLE001 - what it raises is what is looked at
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert after.wait(10)
    cancelling.interrupt(job)
    thread.join(10)
    assert not thread.is_alive()
    return caught


def test_running_job_is_interrupted_at_its_next_line():
    begun = threading.Event()

    def work():
        begun.set()
        while True:
            time.sleep(0.001)

    assert isinstance(interrupted(work, after=begun)[0], TaskCancelled)


def test_except_exception_does_not_swallow_it():
    begun = threading.Event()

    def work():
        begun.set()
        while True:
            with suppress(Exception):
                time.sleep(0.001)

    assert isinstance(interrupted(work, after=begun)[0], TaskCancelled)


def test_job_may_tidy_up():
    begun, tidied = threading.Event(), threading.Event()

    def work():
        try:
            begun.set()
            while True:
                time.sleep(0.001)
        finally:
            tidied.set()

    interrupted(work, after=begun)
    assert tidied.is_set()


def test_coroutine_is_cancelled_where_it_waits():
    begun = threading.Event()

    async def work():
        begun.set()
        await asyncio.sleep(60)

    assert isinstance(interrupted(work, after=begun)[0], TaskCancelled)


def test_coroutine_that_cancels_itself_is_not_a_cancelled_job():
    async def work():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        cancelling.call(a_job(), task_of(work))


def test_other_error_may_interrupt_too():
    class OutOfTime(BaseException):
        pass

    job = a_job()
    with pytest.raises(OutOfTime):
        cancelling.call(job, task_of(lambda: _interrupted_by(job, OutOfTime)))


def _interrupted_by(job, error):
    cancelling.interrupt(job, error)
    cancelling.interrupt(job)  # the first that is asked for counts
    for _ in range(1000):
        time.sleep(0)


def test_job_that_is_over_cannot_be_interrupted():
    job = a_job()
    assert cancelling.call(job, task_of(lambda: 7)) == 7
    cancelling.interrupt(job)


def test_interrupt_that_comes_after_the_last_line_is_too_late():
    job, answers = a_job(), []
    ending = threading.Event()

    def work():
        ending.wait(10)
        return 7

    thread = threading.Thread(target=lambda: answers.append(cancelling.call(job, task_of(work))))
    thread.start()
    assert eventually(lambda: job in cancelling._running)
    interruptible = cancelling._running[job]
    with interruptible._lock:  # as `interrupt` holds it; the job comes to its end meanwhile
        ending.set()
        assert eventually(lambda: _waits_for_the_lock(thread))
        interruptible._error = TaskCancelled
        raise_thread_exception(thread.ident, TaskCancelled)
    thread.join(10)
    assert answers == [7]


def _waits_for_the_lock(thread):
    return sys._current_frames()[thread.ident].f_code.co_name == "_close"


def test_interrupt_that_comes_while_the_job_ends_hits_nothing_else():
    """A worker's thread goes on with other work; none of it may be hit, however close the two come."""
    strays = []
    for number in range(60):
        job = a_job()
        thread = threading.Thread(target=_end_in_a_moment, args=(job, number % 30, strays))
        thread.start()
        cancelling.interrupt(job)
        time.sleep(0)
        cancelling.interrupt(job)
        thread.join(10)
    assert strays == []


def _end_in_a_moment(job, moments, strays):
    with suppress(TaskCancelled):
        cancelling.call(job, task_of(lambda: [time.sleep(0) for _ in range(moments)]))
    try:
        for _ in range(200):
            time.sleep(0)
    except TaskCancelled as stray:
        strays.append(stray)


@pytest.mark.django_db
@pytest.mark.usefixtures("broker")
class TestRows:
    def test_job_that_waits_never_runs(self):
        result = add.enqueue(1)
        assert cancel(result)
        with pytest.raises(SkipMessage):  # the broker may have its message already
            begin(_row(result))

    def test_cancelled_job_has_failed_and_says_why(self):
        result = add.enqueue(1)
        cancel(result.id)
        row = TaskRecord.objects.get()
        assert (row.status, row.publish_at, row.attempt > 0) == ("FAILED", None, True)
        assert row.errors[0]["exception_class_path"] == "scalekit.queue.exceptions.TaskCancelled"

    def test_job_that_runs_is_asked(self):
        job = begin(_row(add.enqueue(1)))
        assert cancel(job.message.message_id)
        assert TaskRecord.objects.get().cancel_asked

    def test_job_that_was_asked_is_not_retried(self):
        job = begin(_row(add.enqueue(1)))
        cancel(job.message.message_id)
        records.retry_later(job, ValueError("no luck"), 1)
        row = TaskRecord.objects.get()
        assert (row.status, row.publish_at) == ("FAILED", None)

    def test_job_that_ends_well_although_it_was_asked_has_succeeded(self):
        job = begin(_row(add.enqueue(1)))
        cancel(job.message.message_id)
        records.finish(job, value=1)
        assert TaskRecord.objects.get().status == "SUCCESSFUL"

    def test_job_that_has_ended_stays_as_it_is(self):
        result = add.enqueue(1)
        succeed(_row(result))
        assert not cancel(result)
        assert TaskRecord.objects.get().status == "SUCCESSFUL"

    def test_cancelled_member_counts_as_failed(self):
        found = group([step(add, 1), step(add, 2)]).enqueue(on_failure=step(call_back, "failed"))
        first, second = waiting("add")
        cancel(first.pk)
        succeed(second)
        assert called("call_back") == [[found.id, "failed"]]

    def test_job_that_there_is_not_does_not_exist(self):
        missing = framework().exceptions.TaskResultDoesNotExist
        for id_ in (uuid4(), "no id"):
            with pytest.raises(missing):
                cancel(id_)

    def test_job_without_a_record_cannot_be_cancelled(self):
        id_ = unrecorded.enqueue().id
        with pytest.raises(framework().exceptions.TaskResultDoesNotExist, match="record=False"):
            cancel(id_)

    def test_cancelling_is_announced(self, heard):
        heard = heard("queue_job_cancelled")
        result = add.enqueue(1)
        cancel(result)
        assert heard == [{"task": add.module_path, "queue": "default", "id": result.id}]


def _row(result):
    return TaskRecord.objects.get(pk=result.id)
