from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError

from scalekit.core.context import unit_of_work
from scalekit.queue.exceptions import PublishFailed
from tests.queue.sample_tasks import PRICE, TENANT, note, recall, shout


class GoWrong(Exception):
    pass


@contextmanager
def rolled_back(using=None):
    """Give a block whose transaction, or savepoint, rolls back."""
    with suppress(GoWrong), transaction.atomic(using=using):
        yield
        raise GoWrong


@pytest.fixture
def shards(django_db_blocker, tmp_path):
    """Give the aliases of two more databases."""
    aliases = ["shard_a", "shard_b"]
    for alias in aliases:
        connections.settings[alias] = {**connections.settings["default"], "NAME": tmp_path / alias}
    with django_db_blocker.unblock():
        yield aliases
    for alias in aliases:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def test_nothing_leaves_before_the_commit(broker, waiting, transactional_db):
    with transaction.atomic():
        result = note.enqueue()
        assert (waiting(), result.enqueued_at) == (0, None)
    assert waiting() == 1
    assert result.enqueued_at is not None


def test_rollback_publishes_nothing(broker, waiting, heard, transactional_db):
    enqueued = heard("queue_job_enqueued")
    with rolled_back():
        assert note.enqueue().id
    assert (waiting(), enqueued) == (0, [])


def test_rollback_of_an_inner_savepoint_publishes_nothing(broker, waiting, transactional_db):
    with transaction.atomic():
        with rolled_back():
            note.enqueue()
        note.enqueue("kept")
    assert waiting() == 1


def test_two_databases_must_both_commit(broker, waiting, shards):
    with transaction.atomic(using=shards[0]):
        with transaction.atomic(using=shards[1]):
            note.enqueue()
        assert waiting() == 0
    assert waiting() == 1


def test_rollback_of_the_outer_of_two_databases_publishes_nothing(broker, waiting, shards):
    with rolled_back(shards[0]), transaction.atomic(using=shards[1]):
        note.enqueue()
    assert waiting() == 0


def test_rollback_of_the_inner_of_two_databases_publishes_nothing(broker, waiting, shards):
    with transaction.atomic(using=shards[0]), rolled_back(shards[1]):
        note.enqueue()
    assert waiting() == 0


def test_savepoint_of_one_database_rolls_back_for_both(broker, waiting, shards):
    with (
        transaction.atomic(using=shards[0]),
        transaction.atomic(using=shards[1]),
        rolled_back(shards[0]),
    ):
        note.enqueue()
    assert waiting() == 0


def test_transaction_that_has_nothing_to_do_with_default_counts(broker, waiting, shards):
    with transaction.atomic(using=shards[1]):
        note.enqueue()
        assert waiting() == 0
    assert waiting() == 1


def test_on_commit_callback_publishes_at_once(broker, waiting, transactional_db):
    with transaction.atomic():
        transaction.on_commit(note.enqueue)
    assert waiting() == 1


def test_actor_waits_for_the_commit_too(broker, waiting, transactional_db):
    with transaction.atomic():
        shout.send("hey")
        assert waiting() == 0
    assert waiting() == 1


def test_argument_of_an_actor_that_is_no_json_raises_before_the_commit(broker, transactional_db):
    with transaction.atomic(), pytest.raises(TypeError):
        shout.send(object())


def test_autocommit_switched_off_by_hand_is_refused(broker, transactional_db):
    connection.set_autocommit(False)
    try:
        with pytest.raises(TransactionManagementError):
            note.enqueue()
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_test_case_hands_over_its_callbacks(
    broker, waiting, db, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        note.enqueue()
        with transaction.atomic():
            note.enqueue()
        assert waiting() == 0
    assert (waiting(), len(callbacks)) == (2, 2)


def test_test_case_over_two_databases_waits_for_one_of_them(broker, waiting, shards):
    blocks = [transaction.atomic(using=alias) for alias in shards]
    for block in blocks:
        block._from_testcase = True  # as TestCase marks its own
    with blocks[0], blocks[1]:
        note.enqueue()
        assert [len(connections[alias].run_on_commit) for alias in shards] == [1, 0]
        with transaction.atomic(using=shards[1]):
            note.enqueue()
        assert [len(connections[alias].run_on_commit) for alias in shards] == [1, 1]
        transaction.set_rollback(True, using=shards[0])
        transaction.set_rollback(True, using=shards[1])


@pytest.mark.django_db(databases="__all__")
def test_test_case_rolls_back_a_savepoint(broker, waiting, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks, rolled_back():
        note.enqueue()
    assert (waiting(), callbacks) == (0, [])


def test_broker_down_after_the_commit_costs_the_request_nothing(
    broker, heard, monkeypatch, caplog, transactional_db
):
    def refuse(*_args, **_options):
        raise PublishFailed

    monkeypatch.setattr(broker, "enqueue", refuse)
    failed = heard("queue_publish_failed")
    with caplog.at_level(logging.ERROR, "scalekit.queue"), transaction.atomic():
        result = note.enqueue()
    assert [payload["id"] for payload in failed] == [result.id]
    assert f"{result.id} (tests.queue.sample_tasks.note) may be lost" in caplog.text
    assert "may or may not run" in caplog.text


def test_facts_learnt_before_the_commit_go_along(broker, work_off, done, transactional_db):
    with unit_of_work(), transaction.atomic():
        TENANT.set("before")
        recall.enqueue()
        TENANT.set("after")
    work_off()
    assert done == [{"test_tenant": "after"}]


def test_fact_that_is_no_json_raises_before_the_commit(broker, waiting, transactional_db):
    with (
        PRICE.bind(Decimal(1)),
        pytest.raises(TypeError, match="fact 'test_price'"),
        transaction.atomic(),
    ):
        shout.send("hey")
    assert waiting() == 0


def test_fact_learnt_before_the_commit_that_is_no_json_costs_the_fact(
    broker, work_off, done, heard, transactional_db
):
    refused = heard("fact_refused")
    with unit_of_work(), transaction.atomic():
        recall.enqueue()
        TENANT.set("acme")
        PRICE.set(Decimal(1))
    work_off()
    assert done == [{"test_tenant": "acme"}]
    assert refused == [{"fact": "test_price"}]


def test_facts_are_kept_where_the_callback_comes_after_the_unit(
    broker, work_off, done, db, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True), unit_of_work():
        TENANT.set("acme")
        recall.enqueue()
    work_off()
    assert done == [{"test_tenant": "acme"}]


def test_fact_bound_at_the_call_stays_what_it_was(broker, work_off, done, transactional_db):
    with unit_of_work(), TENANT.bind("outer"), transaction.atomic(), TENANT.bind("inner"):
        recall.enqueue()
    work_off()
    assert done == [{"test_tenant": "inner"}]
