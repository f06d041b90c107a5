from __future__ import annotations

import logging

import pytest
from django.db import connection, transaction

from scalekit.core.context import unit_of_work
from scalekit.queue import outbox
from scalekit.queue.models import TaskRecord
from scalekit.queue.records import new_row
from tests.queue.databases import rolled_back
from tests.queue.sample_tasks import TENANT, note, recall, shout


def stored(using="default"):
    return TaskRecord.objects.using(using).count()


def test_nothing_leaves_before_the_commit(broker, waiting):
    with transaction.atomic():
        note.enqueue()
        assert (waiting(), stored()) == (0, 1)
    assert waiting() == 1


def test_rollback_leaves_no_row_and_publishes_nothing(broker, waiting, heard):
    enqueued = heard("queue_job_enqueued")
    with rolled_back():
        assert note.enqueue().id
    assert (waiting(), stored(), enqueued) == (0, 0, [])


def test_rollback_of_a_savepoint_takes_back_what_was_enqueued_in_it_alone(broker, waiting):
    with transaction.atomic():
        with rolled_back():
            note.enqueue()
        note.enqueue("kept")
        with rolled_back():
            note.enqueue()
    assert (waiting(), stored()) == (1, 1)


def test_rollback_of_the_outer_savepoint_takes_back_what_an_inner_one_released(broker, waiting):
    with transaction.atomic():
        with rolled_back():
            with transaction.atomic():
                note.enqueue()
            note.enqueue()
        note.enqueue("kept")
    assert (waiting(), stored()) == (1, 1)


def test_on_commit_callback_publishes_at_once(broker, waiting):
    with transaction.atomic():
        transaction.on_commit(note.enqueue)
    assert waiting() == 1


def test_actor_waits_for_the_commit_too(broker, waiting):
    with transaction.atomic():
        shout.send("hey")
        assert (waiting(), stored()) == (0, 1)
    assert (waiting(), stored()) == (1, 0)


def test_actor_is_taken_back_by_a_rollback(broker, waiting):
    with rolled_back():
        shout.send("hey")
    assert (waiting(), stored()) == (0, 0)


def test_argument_of_an_actor_that_is_no_json_raises_before_the_commit(broker):
    with transaction.atomic(), pytest.raises(TypeError):
        shout.send(object())


def test_autocommit_switched_off_by_hand_leaves_it_to_the_relay(broker, waiting):
    from scalekit.queue.relay import relay

    connection.set_autocommit(False)
    try:
        note.enqueue("taken back")
        connection.rollback()
        note.enqueue()
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert waiting() == 0
    relay("default")
    assert waiting() == 1


def test_test_case_hands_over_its_callbacks(
    db, broker, waiting, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        note.enqueue()
        note.enqueue()
        with transaction.atomic():
            note.enqueue()
        assert waiting() == 0
    assert (waiting(), len(callbacks)) == (3, 3)


def test_test_case_hands_over_what_it_has_captured_and_nothing_else(
    db, broker, waiting, django_capture_on_commit_callbacks
):
    note.enqueue()
    with django_capture_on_commit_callbacks(execute=True):
        note.enqueue()
    with django_capture_on_commit_callbacks(execute=True):
        note.enqueue()
    assert waiting() == 2


@pytest.mark.django_db(databases="__all__")
def test_test_case_rolls_back_a_savepoint(db, broker, waiting, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks, rolled_back():
        note.enqueue()
    assert (waiting(), callbacks) == (0, [])


def test_all_that_is_put_in_a_transaction_leaves_in_one_call(broker, calls):
    with transaction.atomic():
        note.enqueue(1)
        with transaction.atomic():
            note.enqueue(2)
        outbox.put([new_row(note, (n,), {}) for n in (3, 4)])
        shout.send("five")
    assert sorted(len(call) for call in calls) == [1, 4]  # what a savepoint holds, apart


def test_broker_call_is_one_where_there_are_no_savepoints(broker, calls):
    with transaction.atomic():
        for n in range(5):
            note.enqueue(n)
    assert [len(call) for call in calls] == [5]


def test_callback_that_fails_before_ours_leaves_the_job_to_the_relay(broker, waiting):
    from scalekit.queue.relay import relay

    def fail():
        raise ValueError("another's callback")

    with pytest.raises(ValueError, match="another's"), transaction.atomic():  # noqa: PT012 - the commit raises
        transaction.on_commit(fail)
        note.enqueue()
    assert (waiting(), stored()) == (0, 1)
    TaskRecord.objects.update(publish_at="2000-01-01T00:00Z")
    relay("default")
    assert waiting() == 1


def test_broker_down_after_the_commit_costs_the_request_nothing(broker, heard, refusing, caplog):
    failed, left = heard("queue_publish_failed"), heard("queue_fast_path_left")
    with caplog.at_level(logging.WARNING, "scalekit.queue"):
        with transaction.atomic():
            result = note.enqueue()
        note.enqueue()
    assert [payload["id"] for payload in failed] == [result.id]
    assert left == [{"database": "default", "jobs": 1}]  # the breaker is open
    assert "1 jobs wait for the relay" in caplog.text
    assert stored() == 2


def test_facts_learnt_before_the_commit_go_along(broker, work_off, done):
    with unit_of_work(), transaction.atomic():
        TENANT.set("before")
        recall.enqueue()
        TENANT.set("after")
    work_off()
    assert done == [{"test_tenant": "after"}]


def test_fact_bound_at_the_call_stays_what_it_was(broker, work_off, done):
    with unit_of_work(), TENANT.bind("outer"), transaction.atomic(), TENANT.bind("inner"):
        recall.enqueue()
    work_off()
    assert done == [{"test_tenant": "inner"}]


def test_facts_are_kept_where_the_callback_comes_after_the_unit(
    db, broker, waiting, django_capture_on_commit_callbacks
):
    from dramatiq import Message

    with django_capture_on_commit_callbacks(execute=True), unit_of_work():
        TENANT.set("acme")
        recall.enqueue()
    message = Message.decode(broker.queues["default"].get_nowait())
    assert message.options["scalekit"] == {"test_tenant": "acme"}
