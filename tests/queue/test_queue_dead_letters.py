from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from scalekit.queue.dead_letters import KEY_TAKEN, NOT_DEAD, UNREADABLE, Search, discard, find
from scalekit.queue.dead_letters import requeue as requeue_in_batches
from scalekit.queue.models import Status, TaskRecord
from tests.queue.dead import dead_letter, dead_letters
from tests.queue.sample_tasks import note

pytestmark = pytest.mark.django_db


def requeue(*rows, **options):
    """Requeue these, and return how many were and why others were not."""
    found = TaskRecord.objects.filter(pk__in=[row.pk for row in rows])
    batches = list(requeue_in_batches(found, **options))
    return sum(b.done for b in batches), {i: why for b in batches for i, why in b.refused.items()}


def found(**search):
    return [row for records in find(Search(**search)) for row in records]


def test_a_requeued_job_is_ready_and_due_and_keeps_its_id_and_history():
    (letter,) = dead_letters(args=[1], kwargs={"size": "l"})
    assert requeue(letter) == (1, {})
    row = TaskRecord.objects.get(pk=letter.pk)
    assert (row.status, row.finished_at, row.args, row.kwargs) == (
        "READY",
        None,
        [1],
        {"size": "l"},
    )
    assert row.publish_at <= timezone.now()
    assert (row.errors, row.worker_ids) == (letter.errors, letter.worker_ids)


def test_a_requeued_job_gets_a_new_allowance_of_retries_and_deaths_while_its_fence_goes_on():
    (letter,) = dead_letters(attempt=4, deaths=3, forgiven=1)
    requeue(letter)
    row = TaskRecord.objects.get(pk=letter.pk)
    assert (row.attempt, row.forgiven, row.deaths) == (4, 4, 0)


def test_a_relay_that_confirms_an_older_publication_does_not_take_the_requeued_one_for_it():
    (letter,) = dead_letters(publications=2)
    requeue(letter)
    confirmed = TaskRecord.objects.filter(pk=letter.pk, publications=2).update(publish_at=None)
    assert confirmed == 0


def test_a_worker_that_comes_back_after_its_job_was_requeued_finishes_nothing(broker):
    from scalekit.queue import records
    from scalekit.queue.jobs import Job
    from scalekit.queue.publishing import message_of

    row = TaskRecord.objects.get(pk=note.enqueue().id)
    frozen = Job(message_of(row))
    records.claim(frozen)
    records.fail(row.pk, "default", exception_class_path="x.WorkerDied", message="It died.")
    assert requeue(row) == (1, {})
    assert not records.finish(frozen, value="late")
    row.refresh_from_db()
    assert (row.status, row.return_value) == (Status.READY, None)


def test_what_was_asked_of_the_job_and_what_it_said_is_forgotten():
    (letter,) = dead_letters(cancel_asked=True, progress={"done": 3}, expires_at=timezone.now())
    requeue(letter)
    row = TaskRecord.objects.get(pk=letter.pk)
    assert (row.cancel_asked, row.progress, row.expires_at) == (False, None, None)


def test_an_unreadable_letter_is_refused():
    (letter,) = dead_letters(path="", raw="\\x00?")
    assert requeue(letter) == (0, {letter.pk: UNREADABLE})
    assert TaskRecord.objects.get().status == Status.FAILED


@pytest.mark.parametrize("status", [Status.READY, Status.RUNNING, Status.SUCCESSFUL])
@pytest.mark.parametrize("act", [requeue_in_batches, discard])
def test_a_job_that_is_no_dead_letter_is_left_alone(status, act):
    (row,) = dead_letters(status=status)
    (batch,) = act(TaskRecord.objects.all())
    assert (batch.done, batch.refused) == (0, {row.pk: NOT_DEAD})
    assert TaskRecord.objects.get().status == status


def test_a_unique_job_takes_its_key_back():
    (letter,) = dead_letters(options={"unique": {"key": "k", "for": 60}})
    requeue(letter)
    row = TaskRecord.objects.get()
    assert row.unique_key == "k"
    assert 50 < (row.unique_until - timezone.now()).total_seconds() <= 60


def test_a_unique_job_is_refused_while_another_holds_its_key():
    later = timezone.now() + timedelta(minutes=5)
    dead_letters(status=Status.READY, unique_key="k", unique_until=later)
    (letter,) = dead_letters(options={"unique": {"key": "k", "for": 60}})
    assert requeue(letter) == (0, {letter.pk: KEY_TAKEN})


def test_a_key_whose_time_is_over_is_free():
    past = timezone.now() - timedelta(minutes=5)
    (holder,) = dead_letters(status=Status.SUCCESSFUL, unique_key="k", unique_until=past)
    (letter,) = dead_letters(options={"unique": {"key": "k", "for": 60}})
    assert requeue(letter) == (1, {})
    assert TaskRecord.objects.get(pk=holder.pk).unique_key is None


def test_of_two_dead_letters_with_one_key_one_runs_again():
    letters = dead_letters(2, options={"unique": {"key": "k", "for": 60}})
    done, refused = requeue(*letters)
    assert (done, list(refused.values())) == (1, [KEY_TAKEN])


def test_discarded_letters_are_gone_and_others_stay():
    (gone,), (stays,) = dead_letters(), dead_letters()
    (batch,) = discard(TaskRecord.objects.filter(pk=gone.pk))
    assert batch.done == 1
    assert list(TaskRecord.objects.all()) == [stays]


def test_batches_are_small_and_say_how_far_it_is():
    letters = dead_letters(25)
    sizes = [batch.size for batch in requeue_in_batches(TaskRecord.objects.all(), batch=10)]
    assert sizes == [10, 10, 5]
    assert TaskRecord.objects.filter(status=Status.READY).count() == len(letters)


def test_what_fails_anew_meanwhile_is_not_requeued_once_more():
    dead_letters(3)
    done = 0
    for batch in requeue_in_batches(TaskRecord.objects.filter(status=Status.FAILED), batch=1):
        done += batch.done
        assert done <= 3
        TaskRecord.objects.update(status=Status.FAILED, finished_at=timezone.now())
    assert done == 3


def test_each_is_announced(heard):
    requeued, discarded = heard("queue_dead_requeued"), heard("queue_dead_discarded")
    (letter,) = dead_letters(queue_name="mail")
    requeue(letter)
    TaskRecord.objects.update(status=Status.FAILED)
    list(discard(TaskRecord.objects.all()))
    expected = {"task": letter.path, "queue": "mail", "id": str(letter.pk)}
    assert (requeued, discarded) == ([expected], [expected])


def test_the_newest_come_first_and_only_the_dead():
    now = timezone.now()
    older, newer = TaskRecord.objects.bulk_create(
        [dead_letter(finished_at=now - timedelta(days=1)), dead_letter(finished_at=now)]
    )
    dead_letters(status=Status.READY, finished_at=None)
    assert found() == [newer, older]


HOUR_AGO = timezone.now() - timedelta(hours=1)


@pytest.mark.parametrize(
    ("search", "values"),
    [
        ({"task": "shop.mail.send"}, {"path": "shop.mail.send"}),
        ({"task": "shop.*"}, {"path": "shop.mail.send"}),
        ({"queue": "mail"}, {"queue_name": "mail"}),
        ({"error": "TimeoutError"}, {"errors": [{"exception_class_path": "x.TimeoutError"}]}),
        ({"error": "timed out"}, {"errors": [{"traceback": "... Timed out: 3 s"}]}),
        ({"until": HOUR_AGO}, {"finished_at": HOUR_AGO - timedelta(seconds=1)}),
        ({"since": HOUR_AGO + timedelta(days=1)}, {"finished_at": HOUR_AGO + timedelta(days=1)}),
        ({"queue": "mail", "task": "shop.a"}, {"queue_name": "mail", "path": "shop.a"}),
    ],
)
def test_a_search_finds_what_answers_to_all_of_it(search, values):
    dead_letters(2)
    dead_letters(queue_name="mail", status=Status.READY)
    (wanted,) = dead_letters(**values)
    assert found(**search) == [wanted]


def test_a_search_by_ids_finds_these():
    first, *_, last = dead_letters(4)
    assert {row.pk for row in found(ids=[first.pk, last.pk])} == {first.pk, last.pk}
