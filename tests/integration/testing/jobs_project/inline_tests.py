from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from django.utils import timezone
from shop.tasks import breed, charge, count_visit, greet, notify, place_order, restock, send_receipt

from scalekit.testing.queue import (
    JobsDoNotEnd,
    QueueUntestable,
    arun_jobs,
    captured_jobs,
    run_jobs,
    running_worker,
)


def groups():
    return list(Group.objects.order_by("pk").values_list("name", flat=True))


class Running:
    def setUp(self):
        super().setUp()
        capture = captured_jobs()  # what is published stays in memory, from test to run_jobs()
        capture.__enter__()
        self.addCleanup(capture.__exit__, None, None, None)

    def test_a_job_runs_and_its_record_says_so(self):
        result = send_receipt.enqueue(7, copies=3)
        ran = run_jobs()
        result.refresh()
        assert result.return_value == "3 of 7"
        assert [(job.id, job.outcome) for job in ran] == [(result.id, "succeeded")]

    def test_what_a_job_enqueues_runs_too(self):
        place_order.enqueue("tea")
        assert len(run_jobs()) == 2
        assert groups() == ["tea", "restocked tea"]

    def test_a_job_runs_once(self):
        restock.enqueue("tea")
        run_jobs()
        assert run_jobs() == []

    def test_urgent_jobs_run_first(self):
        restock.using(priority=-50).enqueue("late")
        restock.using(priority=50).enqueue("soon")
        run_jobs()
        assert groups() == ["restocked soon", "restocked late"]

    def test_jobs_of_later_wait_until_their_time(self):
        restock.using(run_after=timezone.now() + timedelta(hours=2)).enqueue("later")
        restock.using(run_after=timezone.now() + timedelta(hours=1)).enqueue("sooner")
        assert run_jobs() == []
        assert len(run_jobs(ahead=5400)) == 1
        run_jobs(ahead=timedelta(hours=3))
        assert groups() == ["restocked sooner", "restocked later"]

    def test_an_error_of_a_job_is_the_test_s_and_it_is_tried_again_in_time(self):
        result = charge.enqueue("visa")
        with pytest.raises(ConnectionError):
            run_jobs()
        result.refresh()
        assert (result.status, len(result.errors)) == ("READY", 1)
        assert run_jobs() == []
        assert [job.outcome for job in run_jobs(ahead=200)] == ["succeeded"]
        result.refresh()
        assert (result.return_value, result.attempts) == ("charged", 2)

    def test_errors_can_be_left_to_the_records(self):
        charge.enqueue("visa")
        ran = run_jobs(ahead=200, raise_errors=False)
        assert [job.outcome for job in ran] == ["retrying", "succeeded"]
        assert isinstance(ran[0].error, ConnectionError)

    def test_jobs_without_a_record_actors_and_async_tasks_run(self):
        count_visit.enqueue("/")
        notify.send("ada")
        greet.enqueue("ada")
        run_jobs()
        assert set(groups()) == {"visited /", "notified ada", "hello ada"}

    def test_what_rolled_back_does_not_run(self):
        self.client.get("/fail/tea")
        assert run_jobs() == []

    def test_inside_a_transaction_nothing_can_run(self):
        with transaction.atomic():
            restock.enqueue("tea")
            with pytest.raises(QueueUntestable, match="stands inside atomic"):
                run_jobs()

    def test_jobs_that_enqueue_each_other_for_ever_end(self):
        breed.enqueue()
        with self.assertRaisesMessage(JobsDoNotEnd, "shop.tasks.breed"):
            run_jobs(limit=5)


class InTestCase(Running, TestCase):
    def test_a_worker_process_would_see_nothing_of_it(self):
        seen_by_none = pytest.raises(QueueUntestable, match=r"in the memory of|commits nothing")
        with seen_by_none, running_worker():
            pass


class InTransactionTestCase(Running, TransactionTestCase):
    pass


class InAsyncCode(TestCase):
    async def test_jobs_run(self):
        with captured_jobs():
            await restock.aenqueue("tea")
            await greet.aenqueue("ada")
            assert len(await arun_jobs()) == 2
        assert len([group async for group in Group.objects.all()]) == 2
