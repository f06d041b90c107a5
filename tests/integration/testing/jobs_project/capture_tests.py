from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import Group
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from django.utils import timezone
from shop.tasks import count_visit, notify, place_order, restock, send_receipt

from scalekit.testing.queue import assert_enqueued, captured_jobs


class Capturing:
    def test_a_job_is_seen_with_its_arguments(self):
        with captured_jobs() as jobs:
            response = self.client.get("/buy/tea")
        job = jobs.assert_enqueued(send_receipt, int(response.content), copies=2)
        assert [job] == list(jobs)
        assert (job.queue_name, job.database) == ("default", "default")

    def test_nothing_of_a_transaction_that_rolled_back_is_seen(self):
        with captured_jobs() as jobs:
            self.client.get("/fail/tea")
        jobs.assert_none()

    def test_nothing_of_a_savepoint_that_rolled_back_is_seen(self):
        with captured_jobs() as jobs, transaction.atomic():
            restock.enqueue("kept")
            try:
                with transaction.atomic():
                    restock.enqueue("lost")
                    raise ValueError
            except ValueError:
                pass
        assert [job.args for job in jobs] == [["kept"]]

    def test_a_job_is_held_back_until_its_transaction_ends(self):
        with captured_jobs() as jobs:
            with transaction.atomic():
                restock.enqueue("tea")
                assert (len(jobs), len(jobs.held_back)) == (0, 1)
                with self.assertRaisesMessage(AssertionError, "still open: shop.tasks.restock"):
                    jobs.assert_enqueued(restock, "tea")
            assert (len(jobs), len(jobs.held_back)) == (1, 0)

    def test_jobs_without_a_record_and_actors_are_seen(self):
        with captured_jobs() as jobs:
            count_visit.enqueue("/")
            notify.send("ada")
        assert [job.record for job in jobs.of(count_visit)] == [False]
        jobs.assert_enqueued(notify, "ada")

    def test_a_job_of_later_says_when(self):
        tomorrow = timezone.now() + timedelta(days=1)
        with captured_jobs() as jobs:
            restock.using(run_after=tomorrow, priority=50).enqueue("tea")
        assert (jobs[0].run_after, jobs[0].priority) == (tomorrow, 50)

    def test_nothing_is_run(self):
        with captured_jobs():
            place_order.enqueue("tea")
        assert not Group.objects.exists()

    def test_nothing_is_seen_outside_the_block(self):
        with captured_jobs() as jobs:
            pass
        with captured_jobs():
            restock.enqueue("tea")
        assert len(jobs) == 0

    def test_an_assertion_says_what_was_enqueued_instead(self):
        with (
            self.assertRaisesMessage(
                AssertionError, "was enqueued not. Enqueued: shop.tasks.restock('tea')"
            ),
            assert_enqueued(restock, "coffee"),
        ):
            restock.enqueue("tea")

    def test_two_of_a_kind_are_one_too_many(self):
        with self.assertRaisesMessage(AssertionError, "2 times"), assert_enqueued(restock, "tea"):
            restock.enqueue("tea")
            restock.enqueue("tea")


class InTestCase(Capturing, TestCase):
    pass


class InTransactionTestCase(Capturing, TransactionTestCase):
    pass


class InAsyncCode(TestCase):
    async def test_a_job_is_seen(self):
        with captured_jobs() as jobs:
            await self.async_client.get("/buy/tea")
            await restock.aenqueue("tea")
        jobs.assert_enqueued(restock, "tea")
        assert len(jobs) == 2
