from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from scalekit.queue.cron import firing
from scalekit.queue.cron.entries import read_entry
from scalekit.queue.cron.firing import fire, fire_due, forget_slots
from scalekit.queue.models import CronEntry, CronSlot, TaskRecord

pytestmark = pytest.mark.django_db

NOTE = "tests.queue.sample_tasks.note"
# What came last is the same throughout a test, whenever it runs.
MONTHLY = {"TASK": NOTE, "CRON": "@monthly", "TIME_ZONE": "UTC", "CATCH_UP": timedelta(days=40)}
LONG_AGO = timezone.now() - timedelta(days=1000)


@pytest.fixture
def cron(broker, settings):
    """Give a function that sets the entries, as known for years if nothing else is said."""
    firing._paused.clear()

    def cron(*, since=LONG_AGO, **entries):
        settings.SCALEKIT_QUEUE_CRON = entries
        for name, params in entries.items():
            schedule = str(read_entry(name, params).schedule)
            CronEntry.objects.update_or_create(
                name=name, schedule=schedule, defaults={"since": since}
            )

    yield cron
    firing._paused.clear()


def this_month():
    return timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def jobs(path=NOTE):
    return [(row.args, row.kwargs) for row in TaskRecord.objects.filter(path=path)]


def test_what_is_due_is_enqueued_with_its_arguments(cron):
    cron(bill={**MONTHLY, "ARGS": ["a"], "KWARGS": {"b": 1}})
    fire_due("default")
    assert jobs() == [(["a"], {"b": 1})]
    slot = CronSlot.objects.get()
    assert (slot.name, slot.due_at) == ("bill", this_month())
    assert slot.job == TaskRecord.objects.get().pk


def test_a_slot_is_fired_once_however_often_one_looks(cron):
    cron(bill=MONTHLY)
    for _ in range(3):
        fire_due("default")
    assert len(jobs()) == 1


def test_a_scheduler_that_comes_second_enqueues_nothing(cron):
    cron(bill=MONTHLY)
    entry = read_entry("bill", MONTHLY)
    assert fire(entry, this_month(), "default")
    assert fire(entry, this_month(), "default") is None
    assert len(jobs()) == 1


def test_of_several_missed_slots_the_last_is_fired(cron):
    cron(often={**MONTHLY, "CRON": "0 0 1,2 1-12 *"}, bill=MONTHLY)
    fire_due("default")
    assert CronSlot.objects.filter(name="bill").count() == 1
    assert CronSlot.objects.filter(name="often").count() == 1


def test_a_slot_that_is_too_late_is_not_fired(cron):
    late = (timezone.now() - timedelta(minutes=30)).strftime("%M %H * * *")
    cron(bill={**MONTHLY, "CRON": late, "CATCH_UP": 60})
    fire_due("default")
    assert jobs() == []
    cron(bill={**MONTHLY, "CRON": late, "CATCH_UP": 3600})
    fire_due("default")
    assert len(jobs()) == 1


def test_a_new_entry_has_missed_nothing(cron, settings):
    cron()
    settings.SCALEKIT_QUEUE_CRON = {"bill": MONTHLY}
    fire_due("default")
    fire_due("default")
    assert jobs() == []
    assert CronEntry.objects.get().name == "bill"


def test_an_entry_whose_time_was_changed_has_missed_nothing(cron, settings):
    cron(bill={**MONTHLY, "CRON": "0 0 2 * *"})
    settings.SCALEKIT_QUEUE_CRON = {"bill": MONTHLY}
    fire_due("default")
    assert jobs() == []


def test_while_two_releases_run_each_fires_by_its_own_schedule(cron, settings):
    """A rolling deployment: neither may take the other's entry for a new one, again and again."""
    old, new = (
        {"bill": {**MONTHLY, "CRON": "0 0 1 * *"}},
        {"bill": {**MONTHLY, "CRON": "1 0 1 * *"}},
    )
    cron(**new)
    cron(**old)
    fire_due("default")
    settings.SCALEKIT_QUEUE_CRON = new
    fire_due("default")
    assert CronSlot.objects.count() == 2


def test_what_is_removed_fires_no_more(cron):
    cron(bill=MONTHLY)
    cron()
    fire_due("default")
    assert jobs() == []


def test_nothing_is_asked_of_the_database_without_entries(cron, django_assert_num_queries):
    cron()
    with django_assert_num_queries(0):
        fire_due("default")


def test_a_look_at_what_has_been_fired_takes_two_queries(cron, django_assert_num_queries):
    cron(bill=MONTHLY, other=MONTHLY)
    fire_due("default")
    with django_assert_num_queries(2):
        fire_due("default")


def test_an_actor_is_sent(cron, broker):
    cron(loud={**MONTHLY, "TASK": "tests.queue.sample_tasks.shout", "ARGS": ["hey"]})
    fire_due("default")
    assert CronSlot.objects.get().job == TaskRecord.objects.get(kind="actor").pk


@pytest.mark.parametrize(
    "wrong",
    [
        {"TASK": "tests.queue.sample_tasks.gone"},
        {"ARGS": [object()]},
        {"CRON": "every now and then"},
    ],
)
def test_a_wrong_entry_is_announced_and_the_others_fire(cron, settings, heard, caplog, wrong):
    failed = heard("queue_cron_failed")
    cron(bill=MONTHLY, ill=MONTHLY)
    settings.SCALEKIT_QUEUE_CRON = {"ill": {**MONTHLY, **wrong}, "bill": MONTHLY}
    with caplog.at_level(logging.ERROR, "scalekit.queue"):
        fire_due("default")
        fire_due("default")
    assert [payload["entry"] for payload in failed] == ["ill"]
    assert len([r for r in caplog.records if "'ill'" in r.getMessage()]) == 1
    assert [slot.name for slot in CronSlot.objects.all()] == ["bill"]


def test_a_slot_whose_job_could_not_be_enqueued_is_tried_again(cron, settings):
    cron(bill={**MONTHLY, "TASK": "tests.queue.sample_tasks.gone"})
    fire_due("default")
    assert not CronSlot.objects.exists()
    firing._paused.clear()
    settings.SCALEKIT_QUEUE_CRON = {"bill": MONTHLY}
    fire_due("default")
    assert len(jobs()) == 1


def test_what_was_fired_is_announced(cron, heard):
    fired = heard("queue_cron_fired")
    cron(bill=MONTHLY)
    fire_due("default")
    (payload,) = fired
    assert (payload["entry"], payload["task"]) == ("bill", NOTE)


def test_old_slots_are_forgotten_but_the_last_of_each_entry(cron):
    now = timezone.now()
    days = [1, 8, 9, 30]
    CronSlot.objects.bulk_create(
        [CronSlot(name="often", due_at=now - timedelta(days=d)) for d in days]
        + [CronSlot(name="rare", due_at=now - timedelta(days=300))]
    )
    cron()
    forget_slots("default")
    kept = [(s.name, (now - s.due_at).days) for s in CronSlot.objects.order_by("name", "-due_at")]
    assert kept == [("often", 1), ("rare", 300)]


def test_slots_that_might_still_be_caught_up_with_are_kept(cron):
    now = timezone.now()
    for days in (1, 30):
        CronSlot.objects.create(name="bill", due_at=now - timedelta(days=days))
    cron(bill=MONTHLY)
    forget_slots("default")
    assert CronSlot.objects.count() == 2


def test_a_schedule_that_no_release_has_is_forgotten(cron):
    cron(bill=MONTHLY)
    CronEntry.objects.update(seen_at=timezone.now() - timedelta(days=3))
    fire_due("default")
    CronEntry.objects.create(name="gone", schedule="-", seen_at=timezone.now() - timedelta(days=8))
    forget_slots("default")
    assert [entry.name for entry in CronEntry.objects.all()] == ["bill"]
