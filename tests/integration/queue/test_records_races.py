"""Records on PostgreSQL, while many threads want the same."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier

import pytest
from django.db import DataError, connection, connections, transaction
from django.db.models.functions import Now
from dramatiq.middleware import SkipMessage

from scalekit.queue import records
from scalekit.queue.jobs import Job
from scalekit.queue.leases import held, renew
from scalekit.queue.models import TaskRecord
from scalekit.queue.publishing import message_of
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.records import once
from tests.integration.queue.project.tasks import note

pytestmark = pytest.mark.servers


@pytest.fixture
def broker_entry():
    return {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}


@pytest.fixture
def queue_database(new_queue_database):
    """Give a database to which 200 threads have 20 connections; a test server takes no more than 100."""
    pool = {"min_size": 0, "max_size": 20, "timeout": 60}
    return new_queue_database(CONN_MAX_AGE=0, OPTIONS={"pool": pool})


def at_once(number, func):
    """Return what `func` returned in `number` threads that began together."""
    start = Barrier(number)

    def run(_):
        start.wait()
        try:
            return func()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def claim(row):
    """Claim the job of `row` as a worker that has its message; None if it is not to be had."""
    job = Job(message_of(row))
    with suppress(SkipMessage):
        records.claim(job)
        held.discard(job)
        return job


def test_of_200_threads_that_enqueue_the_same_one_does(broker):
    ids = {result.id for result in at_once(200, lambda: once.enqueue("x"))}
    (row,) = TaskRecord.objects.all()
    assert ids == {str(row.pk)}
    records.finish(claim(row))
    ids = {result.id for result in at_once(200, lambda: once.enqueue("x"))}
    assert len(ids) == 1
    assert TaskRecord.objects.count() == 2


def test_unique_job_in_the_callers_transaction_does_not_abort_it(broker):
    first = once.enqueue("x")
    with transaction.atomic():
        assert once.enqueue("x").id == first.id
        note.enqueue("goes on")
    assert TaskRecord.objects.count() == 2


def test_unique_job_waits_for_the_transaction_that_may_store_the_same(broker, queue_template):
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = once.enqueue("x")
            second = pool.submit(enqueue_once)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert eventually(lambda: queue_template.value(waiting))
            transaction.set_rollback(True)
        assert second.result().id != first.id
    assert TaskRecord.objects.count() == 1


def enqueue_once():
    try:
        return once.enqueue("x")
    finally:
        connections.close_all()


def test_of_16_workers_that_fetched_the_same_job_one_has_it(broker):
    row = TaskRecord.objects.get(pk=note.enqueue("x").id)
    claimed = [job for job in at_once(16, lambda: claim(row)) if job]
    assert [job.record.attempt for job in claimed] == [1]
    assert TaskRecord.objects.get().attempt == 1


def test_threads_that_wait_are_written_in_one_transaction(broker):
    rows = [TaskRecord.objects.get(pk=note.enqueue(n).id) for n in range(9)]
    with ThreadPoolExecutor(9) as pool:
        with transaction.atomic():
            TaskRecord.objects.select_for_update().get(pk=rows[0].pk)
            claims = [pool.submit(claim_and_close, rows[0])]
            assert eventually(lambda: group()._is_led)
            claims += [pool.submit(claim_and_close, row) for row in rows[1:]]
            assert eventually(lambda: len(group()._waiting) == 8)
        jobs = [claim.result() for claim in claims]
    written = {transaction_of(row) for row in rows}
    assert all(jobs)
    assert len(written) == 2  # the one that was in the way, and then all others


def claim_and_close(row):
    try:
        return claim(row)
    finally:
        connections.close_all()


def group():
    from scalekit.queue.records import store

    return store.claims["default"]


def transaction_of(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text FROM scalekit_queue_taskrecord WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


def test_finishing_endless_jobs_at_once_finishes_each_as_it_was(broker):
    rows = [TaskRecord.objects.get(pk=note.enqueue(n).id) for n in range(20)]
    jobs = iter([claim(row) for row in rows])

    def finish():
        job = next(jobs)
        number = job.record.args[0]
        error = ValueError(str(number)) if number % 3 == 0 else None
        return records.finish(job, value={"n": number}, error=error)

    assert all(at_once(20, finish))
    for row in TaskRecord.objects.all():
        (number,) = row.args
        if number % 3:
            assert (row.status, row.return_value) == ("SUCCESSFUL", {"n": number})
        else:
            assert row.status == "FAILED"
            assert row.errors[0]["traceback"] == f"ValueError: {number}\n"


def test_value_that_the_database_refuses_harms_no_other(broker):
    """No check of ours knows all that PostgreSQL cannot store: here it is a number of too many digits."""
    rows = [TaskRecord.objects.get(pk=note.enqueue(n).id) for n in range(3)]
    jobs = iter([claim(row) for row in rows])
    values = iter([1, 10**140_000, 2])

    def finish():
        job = next(jobs)
        try:
            return records.finish(job, value=next(values))
        except DataError:
            return "refused"

    with no_limit_on_digits():
        answers = at_once(3, finish)
    assert sorted(map(str, answers)) == ["True", "True", "refused"]


@contextmanager
def no_limit_on_digits():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(before)


def test_renewal_waits_for_no_row_that_is_being_ended(broker):
    """Who ends some jobs and who renews all would each wait for what the other has locked."""
    ending, running = (claim(TaskRecord.objects.get(pk=note.enqueue(n).id)) for n in range(2))
    TaskRecord.objects.update(leased_until="2000-01-01T00:00Z")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        TaskRecord.objects.select_for_update().get(pk=ending.record.pk)
        pool.submit(renew_and_close, [ending, running]).result(10)
    renewed = TaskRecord.objects.filter(leased_until__gt=Now())
    assert [row.pk for row in renewed] == [running.record.pk]


def renew_and_close(jobs):
    try:
        renew("default", jobs)
    finally:
        connections.close_all()
