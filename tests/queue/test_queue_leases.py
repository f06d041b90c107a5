"""Whose job it is, while its worker gives signs of life."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import SimpleNamespace

from django.utils import timezone

from scalekit.queue import records
from scalekit.queue.claiming import claim_due, confirm
from scalekit.queue.leases import LeaseKeeper, held, renew
from scalekit.queue.models import TaskRecord
from scalekit.queue.sweeping import sweep_lost
from tests.queue.rows import lose_worker, row_of
from tests.queue.sample_tasks import note


def test_lease_is_renewed_while_it_is_ours(claimed):
    job = claimed()
    lose_worker(job)
    renew("default", [job])
    assert row_of(job).leased_until > timezone.now() + timedelta(seconds=10)


def test_lease_of_a_job_that_was_taken_over_is_not_renewed(claimed):
    first = claimed()
    lose_worker(first)
    second = claimed(note.get_result(first.message.message_id))
    lose_worker(second)
    renew("default", [first])
    assert row_of(first).leased_until < timezone.now()


def test_job_that_was_swept_while_its_worker_was_away_is_swept_again_when_that_dies(claimed):
    job = claimed()
    for _ in range(2):
        lose_worker(job)
        sweep_lost("default")
        assert row_of(job).publish_at is not None
        renew("default", [job])
        assert row_of(job).publish_at is None


def test_relay_that_published_a_swept_job_confirms_nothing_once_its_worker_is_back(claimed):
    job = claimed()
    lose_worker(job)
    sweep_lost("default")
    published = claim_due("default")
    renew("default", [job])
    confirm("default", published)
    assert row_of(job).publish_at is None


def test_worker_that_took_over_from_itself_keeps_the_lease_when_the_first_attempt_ends(claimed):
    first = claimed()
    lose_worker(first)
    second = claimed(note.get_result(first.message.message_id))
    assert not records.finish(first)
    assert second in held.of("default")
    assert first not in held.of("default")


def test_renewal_interrupts_what_is_to_be_cancelled(claimed, monkeypatch):
    interrupted = []
    monkeypatch.setattr("scalekit.queue.cancelling.interrupt", interrupted.append)
    to_end, to_go_on = claimed(), claimed()
    TaskRecord.objects.filter(pk=to_end.record.pk).update(cancel_asked=True)
    renew("default", [to_end, to_go_on])
    assert interrupted == [to_end]


def test_process_that_was_forked_off_holds_none_of_the_jobs(claimed):
    job = claimed()
    assert job in held.of("default")
    held.forget()
    assert job not in held.of("default")


def test_threads_that_claim_one_job_at_once_know_of_each_other(claimed):
    id_ = claimed().record.pk
    with held.claiming(id_) as first:
        assert not first.is_alone  # it is held
    held.forget()
    with held.claiming(id_) as first:
        assert first.is_alone
        with held.claiming(id_) as second:
            assert not first.is_alone
            assert not second.is_alone
    with held.claiming(id_) as third:
        assert third.is_alone


def test_database_that_hangs_costs_no_job_of_another_its_lease(settings, monkeypatch):
    settings.SCALEKIT_QUEUE_DATABASES = ["hangs", "default"]
    answers, renewed = threading.Event(), threading.Event()

    def renew(database, jobs):
        (answers.wait if database == "hangs" else renewed.set)()
        return True

    monkeypatch.setattr("scalekit.queue.leases._renewed", renew)
    held_by_each = SimpleNamespace(of=lambda database: [database])
    monkeypatch.setattr("scalekit.queue.leases.held", held_by_each)
    keeper = LeaseKeeper()
    keeper.start()
    try:
        assert renewed.wait(10)
    finally:
        answers.set()
        keeper.stop()
    assert not any(thread.is_alive() for thread in keeper._threads)
