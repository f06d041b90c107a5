"""Jobs that wait for a place of a concurrency limit."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from scalekit.queue import cancel, records
from scalekit.queue.limits import Limits, places
from scalekit.queue.limits.admission import Admission, Applicant, Refusal, admit, leave
from scalekit.queue.limits.waiting import call_waiting
from scalekit.queue.models import LimitHolder, LimitWaiter, TaskRecord
from tests.queue.flow_tasks import add
from tests.queue.playing import begin

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]

ONE = Limits("one", "one", concurrency=1)


@pytest.fixture(autouse=True)
def _without_a_keeper(monkeypatch):
    monkeypatch.setattr(places.keeper, "wake", lambda: None)
    yield
    places._held.clear()


@pytest.fixture
def holder():
    """Give what holds the only place."""
    return admit(ONE, Applicant("holder"))


def a_job_that_waits():
    """Return the id of a job that was refused and postponed, as a worker does it."""
    job = begin(TaskRecord.objects.get(pk=add.enqueue(1).id))
    comes_back(job)
    return job.record.pk


def comes_back(job):
    has_waited = job.record.forgiven > 0
    answer = admit(ONE, Applicant(job.message.message_id, "default", has_waited))
    if isinstance(answer, Refusal):
        records.postpone(job, answer.delay)
    return answer


def is_called(pk):
    return TaskRecord.objects.filter(pk=pk, publish_at__lte=Now()).exists()


def test_job_that_waits_is_called_when_a_place_is_left(holder):
    waiter = a_job_that_waits()
    in_a_while = timezone.now() + timedelta(seconds=100)
    assert TaskRecord.objects.get(pk=waiter).publish_at > in_a_while
    leave(ONE, holder.place)
    assert is_called(waiter)


def test_the_first_who_came_is_called_first(holder):
    first, second = a_job_that_waits(), a_job_that_waits()
    leave(ONE, holder.place)
    assert (is_called(first), is_called(second)) == (True, False)


def test_nobody_passes_those_who_wait(holder):
    waiter = a_job_that_waits()
    leave(ONE, holder.place)
    assert isinstance(admit(ONE, Applicant(str(uuid4()), "default")), Refusal)
    assert isinstance(comes_back(begin(TaskRecord.objects.get(pk=waiter))), Admission)


def test_who_has_a_place_stands_in_no_line(holder):
    waiter = a_job_that_waits()
    leave(ONE, holder.place)
    comes_back(begin(TaskRecord.objects.get(pk=waiter)))
    assert not LimitWaiter.objects.exists()


def test_who_is_refused_again_keeps_its_turn(holder):
    first, second = a_job_that_waits(), a_job_that_waits()
    TaskRecord.objects.filter(pk=first).update(publish_at=Now(), run_after=Now())
    assert isinstance(comes_back(begin(TaskRecord.objects.get(pk=first))), Refusal)
    leave(ONE, holder.place)
    assert (is_called(first), is_called(second)) == (True, False)


def test_who_wants_no_more_is_passed_over(holder):
    cancelled, other = a_job_that_waits(), a_job_that_waits()
    cancel(cancelled)
    leave(ONE, holder.place)
    assert is_called(other)
    assert LimitWaiter.objects.get().job == other


def test_duty_calls_where_the_holder_was_killed(holder):
    waiter = a_job_that_waits()
    call_waiting("default")
    assert not is_called(waiter)
    LimitHolder.objects.update(until=Now() - timedelta(seconds=1))
    call_waiting("default")
    assert is_called(waiter)


def test_who_was_called_and_did_not_come_is_called_again(holder):
    waiter = a_job_that_waits()
    leave(ONE, holder.place)
    later = timezone.now() + timedelta(minutes=1)
    TaskRecord.objects.filter(pk=waiter).update(publish_at=later, run_after=later)
    call_waiting("default")
    assert not is_called(waiter)  # it may be on its way
    LimitWaiter.objects.update(called_at=Now() - timedelta(seconds=6))
    call_waiting("default")
    assert is_called(waiter)


def test_free_places_of_a_limit_that_was_higher_have_nobody_called():
    higher = Limits("one", "one", concurrency=2)
    _, second = [admit(higher, Applicant(name)) for name in ("first", "second")]
    leave(higher, second.place)
    waiter = a_job_that_waits()
    call_waiting("default")
    assert not is_called(waiter)
    assert LimitHolder.objects.count() == 1


def test_who_waits_for_another_limit_is_not_called(holder):
    waiter = a_job_that_waits()
    other = Limits("another", "another", concurrency=1)
    leave(other, admit(other, Applicant("x")).place)
    assert not is_called(waiter)
