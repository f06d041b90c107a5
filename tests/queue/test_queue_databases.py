from __future__ import annotations

import pytest
from django.db import connections, transaction
from django.db.models.functions import Now

from scalekit.db import using_shard
from scalekit.queue import outbox
from scalekit.queue.models import TaskRecord
from scalekit.queue.relay import relay
from tests.db.databases import ROUTER, sharding
from tests.queue.conftest import MEMORY, TASKS
from tests.queue.databases import queue_databases, rolled_back
from tests.queue.sample_tasks import note, shout


def stored(using="default"):
    return TaskRecord.objects.using(using).count()


@pytest.fixture
def waiting(settings, done):
    """Give a function that counts the messages in the broker."""
    from scalekit.queue.brokers import default_broker

    settings.SCALEKIT_QUEUE_BROKER, settings.TASKS = MEMORY, TASKS
    queues = default_broker().queues
    return lambda: queues["default"].qsize() if "default" in queues else 0


@pytest.fixture
def shards(django_db_blocker, tmp_path):
    """Give the aliases of two more databases that jobs may lie in."""
    aliases = ["default", "shard_a", "shard_b"]
    known = queue_databases(tmp_path, *aliases, SCALEKIT_QUEUE_DATABASES=aliases)
    with django_db_blocker.unblock(), known:
        yield aliases[1:]


@pytest.fixture
def elsewhere(django_db_blocker, tmp_path):
    """Give the alias of a database in which no job may lie."""
    with django_db_blocker.unblock(), queue_databases(tmp_path, "default", "elsewhere"):
        yield "elsewhere"


@pytest.mark.parametrize("alias", ["default", "shard_a"])
def test_rollback_on_any_of_the_databases_leaves_no_row_there(shards, waiting, alias):
    with transaction.atomic(using=alias), rolled_back(alias):
        note.enqueue()
    with rolled_back(alias):
        note.enqueue()
        with transaction.atomic(using=alias):
            note.enqueue()
    assert (waiting(), stored("default"), stored("shard_a")) == (0, 0, 0)


def test_job_lies_in_the_database_whose_transaction_is_open(shards, waiting):
    with transaction.atomic(using="shard_b"):
        note.enqueue()
        assert waiting() == 0
    assert [stored(alias) for alias in ["default", *shards]] == [0, 0, 1]
    assert waiting() == 1


@pytest.mark.parametrize(
    ("begun", "home"),
    [
        ([], "default"),
        (["shard_a"], "shard_a"),
        (["shard_b", "shard_a"], "shard_a"),
        (["shard_b", "default"], "default"),
    ],
)
def test_where_a_job_lies_by_what_has_begun(shards, begun, home):
    blocks = [transaction.atomic(using=alias) for alias in begun]
    for block in blocks:
        block.__enter__()
    try:
        assert outbox.database_for_enqueue() == home
    finally:
        for block in reversed(blocks):
            block.__exit__(None, None, None)


def test_routers_decide_between_databases_that_have_both_begun(shards, settings):
    settings.DATABASE_ROUTERS = ["tests.queue.test_queue_databases.ToShardB"]
    assert outbox.database_for_enqueue() == "shard_b"
    with transaction.atomic(using="default"), transaction.atomic(using="shard_b"):
        assert outbox.database_for_enqueue() == "shard_b"
    with transaction.atomic(using="default"), transaction.atomic(using="shard_a"):
        assert outbox.database_for_enqueue() == "default"


class ToShardB:
    def db_for_write(self, model, **_):
        return "shard_b"


def test_job_leaves_once_all_databases_have_committed(shards, waiting):
    with transaction.atomic(using="shard_b"):
        with transaction.atomic(using="shard_a"):
            note.enqueue()
        assert (waiting(), stored("shard_a")) == (0, 1)
    assert waiting() == 1


def test_transaction_of_a_database_without_an_outbox_counts(elsewhere, waiting):
    with transaction.atomic(using=elsewhere):
        note.enqueue()
        assert (waiting(), stored()) == (0, 0)
    assert (waiting(), stored()) == (1, 1)
    with rolled_back(elsewhere):
        note.enqueue()
    assert (waiting(), stored()) == (1, 1)


def test_test_case_over_two_databases_stores_where_production_would(shards, waiting):
    blocks = [transaction.atomic(using=alias) for alias in shards]
    for block in blocks:
        block._from_testcase = True  # as TestCase marks its own
    with blocks[0], blocks[1]:
        note.enqueue()
        assert stored("default") == 1
        with transaction.atomic(using="shard_b"):
            note.enqueue()
        assert [len(connections[alias].run_on_commit) for alias in shards] == [0, 1]
        assert stored("shard_b") == 1
        for alias in shards:
            transaction.set_rollback(True, using=alias)


def test_shards_have_an_outbox_of_their_own(django_db_blocker, tmp_path, waiting):
    aliases = ["default", "shard_a", "shard_b"]
    known = queue_databases(
        tmp_path,
        *aliases,
        SCALEKIT_QUEUE_DATABASES=aliases,
        SCALEKIT_DB_SHARDING=sharding("shard_a", "shard_b"),
        DATABASE_ROUTERS=ROUTER,
    )
    with django_db_blocker.unblock(), known:
        with transaction.atomic(using="shard_b"), using_shard("users", 7):
            note.enqueue()
            shout.send("hey")
        with rolled_back("shard_a"):
            note.enqueue()
        note.enqueue()
        assert [stored(alias) for alias in aliases] == [1, 0, 1]
        assert waiting() == 3
        TaskRecord.objects.using("shard_b").update(publish_at=Now())
        assert relay("shard_b") is False
        assert waiting() == 4
