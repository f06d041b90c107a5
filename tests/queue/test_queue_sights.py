"""What the supervisor sees of the broker and of the databases."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from scalekit.queue.brokers.base import QueueStats
from scalekit.queue.models import PausedQueue, Status, TaskRecord
from scalekit.queue.supervisor.figures import Figures
from scalekit.queue.supervisor.sights import Rows, Watch, queues_waiting, rows_waiting


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def store(db):
    """Give a function that writes the row of a job."""
    from scalekit.queue.ids import new_id

    def write(**values):
        values = {"enqueued_at": ago(0), "publish_at": ago(-900), **values}
        return TaskRecord.objects.create(id=new_id(), path="a.b", queue_name="default", **values)

    return write


@pytest.fixture
def broker_says(broker, monkeypatch):
    """Give a function that lets the broker know so much of every lane."""

    def say(**values):
        monkeypatch.setattr(
            broker, "stats", lambda lanes: {lane: QueueStats(**values) for lane in lanes}
        )

    return say


def test_lanes_are_added_up(broker_says):
    broker_says(ready=2, delayed=1, in_flight=3, dead=1, waited=7.0)
    assert queues_waiting(["default"]) == {
        "default": QueueStats(ready=6, delayed=3, in_flight=9, dead=3, waited=7.0)
    }


def test_records_tell_for_how_long_where_the_broker_cannot(broker_says, store):
    broker_says(ready=1, waited=None)
    store(enqueued_at=ago(30))
    store(enqueued_at=ago(90), run_after=ago(-60))
    store(enqueued_at=ago(90), run_after=ago(40))
    store(enqueued_at=ago(300), status=Status.RUNNING, publish_at=None)
    (stats,) = queues_waiting(["default"]).values()
    assert 40 <= stats.waited < 60


def test_nobody_is_asked_for_how_long_where_nothing_waits(
    broker_says, store, django_assert_num_queries
):
    broker_says(ready=0, waited=None)
    with django_assert_num_queries(0):
        queues_waiting(["default"])


def test_rows_tell_what_is_dead_paused_and_overdue(store):
    store(status=Status.FAILED, publish_at=None, finished_at=ago(1))
    store(publish_at=ago(25))
    PausedQueue.objects.create(queue_name="mail")
    rows = rows_waiting()
    assert (rows.dead, rows.paused) == ({"default": 1}, {"mail"})
    assert 25 <= rows.oldest_due < 45


def test_nothing_overdue_is_zero(db):
    assert rows_waiting() == Rows({}, 0.0, frozenset())


def test_what_is_too_old_is_not_believed(db):
    watch = Watch("sample", lambda: "seen", every=60)
    assert watch.seen(within=60) is None
    watch.look_once()
    assert watch.seen(within=60) == "seen"
    time.sleep(0.001)
    assert watch.seen(within=0.0005) is None


def test_look_that_fails_keeps_what_was_seen_and_is_said_once(db, caplog):
    answers = iter(["seen"])
    watch = Watch("The sample", lambda: next(answers), every=60)
    for _ in range(3):
        watch.look_once()
    assert watch.seen(within=60) == "seen"
    assert [r.getMessage() for r in caplog.records].count(
        "The sample cannot be seen, trying again: "
    ) == 1


@pytest.mark.parametrize(
    ("queues", "latency"),
    [
        (None, None),
        ({}, 0.0),
        ({"a": QueueStats(ready=0, waited=None)}, 0.0),
        ({"a": QueueStats(ready=1, waited=3.0), "b": QueueStats(ready=1, waited=9.0)}, 9.0),
        ({"a": QueueStats(ready=1, waited=None), "b": QueueStats(ready=0)}, None),
    ],
)
def test_latency_is_that_of_the_slowest_queue(queues, latency):
    assert Figures(queues=queues).latency == latency
