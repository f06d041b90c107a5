from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from dramatiq import Message

from scalekit.core.context import Fact, unit_of_work
from scalekit.queue import outbox
from scalekit.queue.claiming import claim_due, confirm, parking_seconds
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.records import new_row
from scalekit.queue.relay import breakers, relay
from tests.queue.sample_tasks import TENANT, note, shout

SEEN: Fact[int] = Fact("test_seen", 0, portable=True, merge=max)


@pytest.fixture
def due(broker):
    """Give a function that stores jobs which nobody has published, and returns their rows."""

    def put(*names, **fields):
        rows = [new_row(note, (name,), {}) for name in names]
        for row in rows:
            row.publish_at = timezone.now() - timedelta(minutes=1)
            for field, value in fields.items():
                setattr(row, field, value)
        outbox.put(rows)
        return rows

    return put


def published(calls):
    """Return the arguments of the published tasks, in order."""
    return [message.args[1][0] for call in calls for message in call]


def row_of(row):
    return TaskRecord.objects.get(pk=row.pk)


def test_what_is_due_is_published_in_one_call_and_not_again(due, calls):
    due("a", "b")
    assert relay("default") is False
    relay("default")
    assert sorted(published(calls)) == ["a", "b"]
    assert len(calls) == 1


def test_what_is_not_due_stays(due, calls):
    due("later", publish_at=timezone.now() + timedelta(hours=1))
    relay("default")
    assert calls == []


def test_urgent_goes_before_long_due(due, calls):
    due("old", publish_at=timezone.now() - timedelta(hours=1))
    due("urgent", priority=50)
    due("low", priority=-50)
    due("new")
    relay("default")
    assert published(calls) == ["urgent", "old", "new", "low"]


def test_full_batch_asks_for_the_next(due, broker, monkeypatch):
    monkeypatch.setattr("scalekit.queue.relay.BATCH", 2)
    monkeypatch.setattr(claim_due, "__defaults__", (2,))
    due("a", "b", "c")
    assert [relay("default"), relay("default")] == [True, False]


def test_job_that_is_not_kept_goes_with_its_publication(due, calls):
    [row] = due("a", kept=False)
    relay("default")
    assert not TaskRecord.objects.filter(pk=row.pk).exists()
    assert "database" not in calls[0][0].options


def test_message_says_where_its_record_lies(due, calls):
    [row] = due("a")
    relay("default")
    assert calls[0][0].message_id == str(row.pk)
    assert calls[0][0].options["database"] == "default"


def test_claimed_rows_are_nobody_elses_until_the_lease_ends(due, calls):
    [row] = due("a")
    assert [r.pk for r in claim_due("default")] == [row.pk]
    relay("default")
    assert calls == []
    TaskRecord.objects.update(publish_at=Now())
    relay("default")
    assert published(calls) == ["a"]


def test_late_confirmation_of_an_older_claim_changes_nothing(due):
    due("a")
    late = claim_due("default")
    TaskRecord.objects.update(publish_at=Now())
    claim_due("default")
    before = TaskRecord.objects.get()
    confirm("default", late)
    assert TaskRecord.objects.get().publish_at == before.publish_at


def test_confirmation_does_not_take_back_a_retry_that_was_quicker(due):
    [row] = due("a")
    claimed = claim_due("default")
    # A worker has claimed the message and put the job off, before the relay came to confirm it.
    TaskRecord.objects.update(publications=F("publications") + 2, publish_at=Now())
    soon = row_of(row).publish_at
    confirm("default", claimed)
    assert row_of(row).publish_at == soon


@pytest.mark.parametrize(
    ("age", "seconds"), [(0, 900), (900, 900), (901, 1800), (5000, 7200), (1e6, 1_843_200)]
)
def test_the_older_a_job_the_more_rarely_it_is_published_again(age, seconds):
    assert parking_seconds(age, 900) == seconds


def test_job_that_nobody_claims_is_published_again(broker, calls, settings):
    settings.SCALEKIT_QUEUE_UNCLAIMED_SECONDS = 600
    note.enqueue("a")
    row = TaskRecord.objects.get()
    assert timedelta(minutes=9) < row.publish_at - timezone.now() < timedelta(minutes=11)
    TaskRecord.objects.update(publish_at=Now())  # ten minutes later
    relay("default")
    assert published(calls) == ["a", "a"]


def test_row_that_can_be_no_message_harms_no_neighbour(due, calls, heard):
    buried = heard("queue_relay_buried")
    due("a")
    [broken] = due("b")
    due("c")
    TaskRecord.objects.filter(pk=broken.pk).update(options=["broken"])
    relay("default")
    assert sorted(published(calls)) == ["a", "c"]
    row = row_of(broken)
    assert (row.status, row.publish_at) == (Status.FAILED, None)
    assert row.finished_at is not None
    assert "could not be published" in row.errors[0]["traceback"]
    assert [payload["id"] for payload in buried] == [str(broken.pk)]


def test_row_that_the_broker_cannot_take_harms_no_neighbour(due, broker, monkeypatch):
    taken, enqueue_many = [], broker.enqueue_many

    def choke(messages):
        if any(message.args[1] == ["b"] for message in messages):
            raise ValueError("this one is too much")
        taken.extend(messages)
        enqueue_many(messages)

    monkeypatch.setattr(broker, "enqueue_many", choke)
    due("a")
    [broken] = due("b")
    due("c")
    relay("default")
    assert sorted(published([taken])) == ["a", "c"]
    assert row_of(broken).status == Status.FAILED
    assert "too much" in row_of(broken).errors[0]["traceback"]


def test_row_that_is_not_confirmed_harms_no_neighbour_and_lives(due, broker, monkeypatch):
    from scalekit.queue.exceptions import PublishFailed

    taken, enqueue_many = [], broker.enqueue_many

    def refuse(messages):
        if any(message.args[1] == ["b"] for message in messages):
            raise PublishFailed
        taken.extend(messages)
        enqueue_many(messages)

    monkeypatch.setattr(broker, "enqueue_many", refuse)
    due("a")
    [refused] = due("b")
    due("c")
    relay("default")
    assert sorted(published([taken])) == ["a", "c"]
    assert row_of(refused).status == Status.READY
    assert row_of(refused).publish_at > timezone.now()


def test_outage_burns_no_attempt_and_claims_but_once(due, refusing, calls, heard):
    failed = heard("queue_publish_failed")
    [row] = due("a")
    for _ in range(50):
        relay("default")
    row = row_of(row)
    assert (row.status, row.attempt, row.publications) == (Status.READY, 0, 1)
    assert len(failed) == 1


def test_end_of_an_outage_is_noticed(due, refusing, broker, monkeypatch):
    [row] = due("a")
    relay("default")
    refusing()
    monkeypatch.setattr(breakers[broker], "_clock", lambda: 10**9)
    relay("default")
    assert broker.queues["default"].qsize() == 1
    assert row_of(row).publications == 2


def test_actor_is_published_as_itself(broker, calls):
    with transaction.atomic():
        shout.send("hey")
        TaskRecord.objects.update(publish_at=Now() - timedelta(minutes=1))
        transaction.get_connection().run_on_commit.clear()  # the process dies here
    relay("default")
    [[message]] = calls
    assert (message.actor_name, message.args) == ("shout", ("hey",))


def test_delay_of_an_actor_is_waited_for_in_the_database(broker, calls):
    shout.send_with_options(args=("hey",), delay=timedelta(days=30))
    row = TaskRecord.objects.get()
    assert timedelta(days=29) < row.publish_at - timezone.now() < timedelta(days=31)
    relay("default")
    assert calls == []
    TaskRecord.objects.update(publish_at=Now())
    relay("default")
    assert len(calls) == 1


def test_facts_of_the_caller_travel_by_the_relay_too(due, broker, calls):
    with unit_of_work():
        TENANT.set("acme")
        due("a")
    relay("default")
    assert calls[0][0].options["scalekit"]["test_tenant"] == "acme"


@pytest.mark.parametrize(("carried", "arrives"), [(3, 7), (9, 9)])
def test_demand_of_the_relays_own_claim_goes_along(due, calls, monkeypatch, carried, arrives):
    def claim_and_learn(database):
        rows = claim_due(database)
        SEEN.set(7)  # as scalekit.db does once a write has committed
        return rows

    monkeypatch.setattr("scalekit.queue.relay.claim_due", claim_and_learn)
    with unit_of_work():
        SEEN.set(carried)
        TENANT.set("acme")
        due("a")
    relay("default")
    facts = calls[0][0].options["scalekit"]
    assert facts == {"test_seen": arrives, "test_tenant": "acme"}


def test_relay_says_how_late_it_is(due, heard):
    batches = heard("queue_relayed")
    due("a", "b")
    relay("default")
    [batch] = batches
    assert (batch["database"], batch["jobs"]) == ("default", 2)
    assert 50 < batch["late"] < 300


def test_message_leaves_without_what_only_the_row_needs(due, calls):
    due("a", options={"flow": ["much"], "unique": {}, "time_limit": 5})
    relay("default")
    options = calls[0][0].options
    assert options["time_limit"] == 5
    assert not {"flow", "unique"} & options.keys()


def test_message_survives_its_encoding(due, calls):
    due("a")
    relay("default")
    assert Message.decode(calls[0][0].encode()).args[0] == "tests.queue.sample_tasks.note"
