"""How far a job has come."""

from __future__ import annotations

import math

import pytest

from scalekit.core.context import unit_of_work
from scalekit.queue import progress, progress_of, records, report_progress
from scalekit.queue.facts import JOB
from scalekit.queue.models import TaskRecord
from scalekit.queue.progress import Progress
from tests.queue.flow_tasks import add
from tests.queue.playing import begin, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


@pytest.fixture
def job(monkeypatch):
    """Give a job that runs; nothing is written but when the test does it."""
    monkeypatch.setattr(progress.writer, "wake", lambda: None)
    add.enqueue(1)
    job = begin(waiting("add")[0])
    with unit_of_work():
        JOB.set(job)
        yield job
    progress._unwritten.clear()


def test_outside_a_job_it_does_nothing():
    report_progress(1, 2)
    assert not progress._unwritten


def test_job_that_has_said_nothing_has_no_progress(job):
    assert progress_of(job.message.message_id) is None


def test_what_was_said_is_written_in_the_background(job):
    report_progress(120, 400, "Loading")
    assert progress_of(job.message.message_id) is None
    assert progress._write()
    assert progress_of(job.message.message_id) == Progress(120, 400, "Loading")


def test_a_thousand_reports_are_one_write(job, django_assert_num_queries):
    for done in range(1000):
        report_progress(done, 1000)
    with django_assert_num_queries(1):
        progress._write()
    assert progress_of(job.message.message_id).done == 999


def test_last_report_is_written_when_the_job_ends(job):
    report_progress(5, 5, "Done")
    records.finish(job)
    assert progress_of(job.message.message_id) == Progress(5, 5, "Done")


def test_report_of_a_job_that_another_worker_has_by_now_is_not_written(job):
    report_progress(1, 2)
    TaskRecord.objects.update(attempt=2)
    progress._write()
    assert progress_of(job.message.message_id) is None


@pytest.mark.parametrize("done", [math.nan, math.inf])
def test_what_is_no_number_is_refused(done, job):
    with pytest.raises(ValueError, match="two numbers"):
        report_progress(done, 1)


@pytest.mark.parametrize(
    ("said", "share"), [((1, 4), 0.25), ((5, 4), 1.0), ((-1, 4), 0.0), ((0, 0), 0.0)]
)
def test_share_is_between_0_and_1(said, share):
    assert Progress(*said).share == share
