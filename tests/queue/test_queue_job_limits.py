"""What workers do with jobs that have limits."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from dramatiq import Actor
from dramatiq.middleware import SkipMessage

from scalekit.core.context import unit_of_work
from scalekit.queue import task
from scalekit.queue.exceptions import LimitInvalid
from scalekit.queue.facts import JOB
from scalekit.queue.jobs import Job
from scalekit.queue.limits import places
from scalekit.queue.middleware import limits as middleware
from scalekit.queue.middleware.limits import JobLimits, LimitsUnavailable
from scalekit.queue.models import LimitHolder, TaskRecord
from scalekit.queue.outbox import message_of
from scalekit.queue.tasks import invalid_task
from tests.queue.flow_tasks import add, limited, limited_with_context
from tests.queue.playing import begin

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


@pytest.fixture(autouse=True)
def _without_a_keeper(monkeypatch):
    monkeypatch.setattr(places.keeper, "wake", lambda: None)
    yield
    places._held.clear()
    middleware._held.set(None)


@pytest.fixture
def pass_by(broker):
    """Give a function that lets the middleware look at a job before it runs, and the middleware."""
    looks = JobLimits()

    def before(job):
        with unit_of_work():
            JOB.set(job)
            looks.before_process_message(broker, job.message)

    before.afterwards = lambda: looks.after_process_message(broker, None)
    return before


def claimed(result):
    return begin(TaskRecord.objects.get(pk=result.id))


def names():
    return set(LimitHolder.objects.exclude(holder="").values_list("name", flat=True))


def test_job_without_limits_asks_nothing(pass_by, django_assert_num_queries):
    job = claimed(add.enqueue(1))
    with django_assert_num_queries(0):
        pass_by(job)


def test_job_holds_its_place_until_it_has_ended(pass_by):
    pass_by(claimed(limited.enqueue("a")))
    assert names() == {f'{limited.module_path}["a"]'}
    pass_by.afterwards()
    assert names() == set()


def test_context_of_a_task_is_none_of_its_arguments(pass_by):
    pass_by(claimed(limited_with_context.enqueue("a")))
    assert names() == {f'{limited_with_context.module_path}["a"]'}


def test_job_over_its_limit_goes_back_and_burns_no_attempt(pass_by, heard):
    heard = heard("queue_job_postponed")
    pass_by(claimed(limited_with_context.enqueue("a")))
    second = claimed(limited_with_context.enqueue("a"))
    with pytest.raises(SkipMessage, match="over its concurrency limit"):
        pass_by(second)
    row = TaskRecord.objects.get(pk=second.record.pk)
    assert (row.status, row.attempt - row.forgiven, row.worker_ids) == ("READY", 0, [])
    assert heard[0]["limit"] == "concurrency"


def test_job_does_not_run_while_nobody_knows_its_limits(pass_by, monkeypatch):
    def admit(*_):
        raise OperationalError("the server has gone away")

    monkeypatch.setattr(middleware, "admit", admit)
    with pytest.raises(LimitsUnavailable, match="the server has gone away"):
        pass_by(claimed(limited.enqueue("a")))


@pytest.mark.parametrize("args", [("no.such.task", [], {}), ("too", "short")])
def test_message_that_names_no_task_is_left_to_whoever_refuses_it(pass_by, args):
    row = TaskRecord.objects.get(pk=limited.enqueue("a").id)
    pass_by(Job(message_of(row).copy(args=args)))
    assert names() == set()


def test_task_with_a_wrong_limit_is_refused_when_it_is_declared():
    with pytest.raises(invalid_task(), match='"10/s"'):
        task(rate_limit="10 per second")(add.func)


def test_actor_with_a_wrong_limit_is_refused_when_it_is_declared(broker):
    with pytest.raises(LimitInvalid, match="Actor 'ship': concurrency = 0"):
        Actor(
            lambda: None,
            broker=broker,
            actor_name="ship",
            queue_name="default",
            priority=0,
            options={"concurrency": 0},
        )
