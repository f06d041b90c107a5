from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from scalekit.core.context import unit_of_work
from scalekit.queue import outbox
from scalekit.queue.exceptions import BrokerUnreachable, NotKeepable, PublishFailed
from scalekit.queue.fast_path import breakers
from scalekit.queue.models import TaskRecord
from scalekit.queue.records import new_row
from scalekit.queue.relay import relay
from tests.queue.sample_tasks import PRICE, TENANT, note, recall, shout


def unique(key="k", seconds=60):
    row = new_row(note, (), {})
    row.unique_key, row.unique_until = key, Now() + timedelta(seconds=seconds)
    return row


def test_what_is_stored_is_announced_at_once(broker, heard):
    stored = heard("queue_job_stored")
    with transaction.atomic():
        row = new_row(note, (1,), {})
        outbox.put([row])
        shout.send("hey")
        assert [payload["task"] for payload in stored] == [
            "tests.queue.sample_tasks.note",
            "shout",
        ]
    assert stored[0]["record"] is row
    assert (stored[0]["id"], stored[0]["database"]) == (str(row.pk), "default")


def test_nothing_is_put_without_a_row(broker, calls):
    outbox.put([])
    assert (TaskRecord.objects.count(), calls) == (0, [])


def test_what_is_for_later_leaves_when_it_is_due(broker, calls):
    when = timezone.now() + timedelta(hours=1)
    note.using(run_after=when).enqueue()
    assert calls == []
    assert TaskRecord.objects.get().publish_at == when


def test_what_was_for_earlier_leaves_with_the_next_relay(broker, calls):
    note.using(run_after=timezone.now() - timedelta(hours=1)).enqueue()
    relay("default")
    assert len(calls) == 1


def test_clock_of_a_producer_that_is_ahead_sends_nothing_early(broker, calls, monkeypatch):
    """It would be skipped as early, and not be published again for a quarter of an hour."""
    when = timezone.now() + timedelta(minutes=3)
    monkeypatch.setattr(timezone, "now", lambda: when + timedelta(minutes=2))
    note.using(run_after=when).enqueue()
    assert calls == []
    assert TaskRecord.objects.get().publish_at == when


def test_of_many_jobs_those_that_are_due_leave(broker, calls):
    later = new_row(note, ("later",), {})
    later.publish_at = timezone.now() + timedelta(hours=1)
    outbox.put([new_row(note, ("now",), {}), later])
    assert [message.args[1] for message in calls[0]] == [["now"]]


# Unique jobs


def test_job_with_a_key_that_is_held_is_the_one_that_holds_it(broker, calls):
    first, second = outbox.put_unique(unique()), outbox.put_unique(unique())
    assert first.pk == second.pk
    assert TaskRecord.objects.count() == len(calls) == 1


def test_key_is_free_after_its_time(broker, calls):
    first = outbox.put_unique(unique())
    TaskRecord.objects.update(unique_until=Now())
    assert outbox.put_unique(unique()).pk != first.pk
    assert len(calls) == 2


def test_key_is_free_after_a_rollback(broker, calls):
    with transaction.atomic():
        outbox.put_unique(unique())
        transaction.set_rollback(True)
    outbox.put_unique(unique())
    assert TaskRecord.objects.count() == len(calls) == 1


# Facts


def test_fact_that_is_no_json_is_named_and_nothing_is_stored(broker, waiting):
    for enqueue in (note.enqueue, lambda: shout.send("hey")):
        with (
            PRICE.bind(Decimal(1)),
            pytest.raises(TypeError, match="fact 'test_price'"),
            transaction.atomic(),
        ):
            enqueue()
        with PRICE.bind(Decimal(1)), pytest.raises(TypeError, match="fact 'test_price'"):
            enqueue()
    assert (waiting(), TaskRecord.objects.count()) == (0, 0)


def test_fact_learnt_before_the_commit_that_is_no_json_costs_the_fact(
    broker, work_off, done, heard
):
    refused = heard("fact_refused")
    with unit_of_work(), transaction.atomic():
        recall.enqueue()
        TENANT.set("acme")
        PRICE.set(Decimal(1))
    work_off()
    assert done == [{"test_tenant": "acme"}]
    assert refused == [{"fact": "test_price"}]


@pytest.mark.parametrize("word", ["a\x00b", float("nan"), "\ud800"])
def test_what_no_database_keeps_is_refused_before_it_spoils_the_transaction(broker, word):
    with transaction.atomic():
        with pytest.raises((NotKeepable, UnicodeEncodeError)):
            shout.send(word)
        TaskRecord.objects.count()


# Actors without a transaction


def test_actor_outside_a_transaction_goes_straight_to_the_broker(broker, waiting, heard):
    enqueued = heard("queue_job_enqueued")
    message = shout.send("hey")
    assert (waiting(), TaskRecord.objects.count()) == (1, 0)
    assert enqueued == [{"task": "shout", "queue": "default", "id": message.message_id}]


def test_actor_outside_a_transaction_raises_what_the_broker_does_not_confirm(refusing, heard):
    failed = heard("queue_publish_failed")
    with pytest.raises(PublishFailed):
        shout.send("hey")
    assert [payload["task"] for payload in failed] == ["shout"]


def test_actor_in_a_transaction_raises_nothing_for_a_broker_that_is_down(refusing):
    with transaction.atomic():
        shout.send("hey")
    assert TaskRecord.objects.get().path == "shout"


# The breaker


def test_broker_that_failed_is_asked_before_it_is_given_a_job(refusing, broker, monkeypatch):
    pings, now = [], [0.0]
    monkeypatch.setattr(breakers[broker], "_clock", lambda: now[0])

    def ping(timeout):
        pings.append(timeout)
        raise BrokerUnreachable

    monkeypatch.setattr(broker, "ping", ping)
    for _ in range(10):
        note.enqueue()
    assert pings == []
    now[0] = 6.0
    note.enqueue()
    note.enqueue()
    assert pings == [0.5]


def test_fast_path_returns_with_the_broker(refusing, broker, waiting, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(breakers[broker], "_clock", lambda: now[0])
    note.enqueue()
    refusing()
    now[0] = 6.0
    note.enqueue()
    note.enqueue()
    assert waiting() == 2


def test_failure_of_what_is_not_the_broker_costs_the_request_nothing(broker, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("no luck")

    monkeypatch.setattr("scalekit.queue.fast_path.confirm", fail)
    note.enqueue()
    assert "publishing them after the commit failed" in caplog.text
    assert TaskRecord.objects.count() == 1
