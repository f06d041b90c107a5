"""What is written to several shards happens on all of them, or on none, whoever dies in between."""
# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import unittest
from threading import Thread

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test import TestCase, override_settings

from scalekit.core.context import unit_of_work
from scalekit.db import shard_atomic, two_phase
from scalekit.db.exceptions import (
    CrossShardTransaction,
    TwoPhaseUnavailable,
)
from scalekit.db.facts import dealings
from tests.db.databases import databases, replica_of, sharding, sqlite
from tests.integration.db.across.conftest import SHARDS, entries_of, prepared
from tests.integration.db.across.writing import (
    at,
    counts,
    write,
)
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers


def test_all_is_committed_and_nothing_is_left(across, keys):
    with two_phase("users"):
        write(keys)
        assert in_another_thread(counts) == (0, 0, 0)
    assert counts() == (1, 1, 1)
    assert prepared(across) == []
    assert not connections["shard_0"].in_atomic_block
    assert connections["shard_0"].get_autocommit()


def in_another_thread(function):
    found = []
    thread = Thread(target=lambda: (found.append(function()), connections.close_all()))
    thread.start()
    thread.join()
    return found[0]


def test_an_exception_rolls_everything_back(across, keys):
    with pytest.raises(ZeroDivisionError), two_phase("users"):
        write(keys)
        1 / 0  # noqa: B018 - raises
    assert counts() == (0, 0, 0)


def test_one_part_marked_for_rollback_takes_all_along(keys):
    with two_phase("users"):
        write(keys)
        transaction.set_rollback(True, using="shard_1")
    assert counts() == (0, 0, 0)


def test_a_shard_that_cannot_prepare_rolls_back_all(across, keys):
    with pytest.raises(DatabaseError), two_phase("users"):
        write(keys)
        with connections["shard_1"].cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE t ()")  # PREPARE refuses
    assert counts() == (0, 0, 0)
    assert prepared(across) == []
    write(keys)


def test_a_constraint_that_default_checks_at_its_commit_rolls_back_all(across, keys):
    across.execute(
        "CREATE TABLE IF NOT EXISTS late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        database="across_default",
    )
    with pytest.raises(IntegrityError), two_phase("users"):
        write(keys)
        with connections["default"].cursor() as cursor:
            cursor.execute("INSERT INTO late VALUES (1), (1)")
    assert counts() == (0, 0, 0)
    assert prepared(across) == []


def test_one_writer_needs_no_second_phase(keys):
    with at("shard_0", "PREPARE", lambda _: pytest.fail("prepared")), two_phase("users"):
        write_one(keys[0])
    assert counts() == (0, 1, 0)


def write_one(key, note=""):
    from tests.db.shop.models import Order

    return Order.objects.create(customer_id=key, note=note)


def test_locks_settings_and_savepoints_are_no_writes_to_a_second_shard(keys):
    with shard_atomic("users", keys[0]), shard_atomic("users", keys[1]):
        write_one(keys[0])
        with transaction.atomic(using="shard_1"), connections["shard_1"].cursor() as cursor:
            for statement in (
                "SELECT * FROM shop_order FOR UPDATE",
                "SELECT pg_advisory_xact_lock(1)",
                "SET LOCAL lock_timeout = '1s'",
            ):
                cursor.execute(statement)
            with pytest.raises(CrossShardTransaction):
                cursor.execute("DELETE FROM shop_order")


def test_only_the_shards_of_the_named_keys_take_part(keys):
    with pytest.raises(CrossShardTransaction), two_phase("users", keys[0]):
        write(keys)
    assert counts() == (0, 0, 0)


def test_what_waits_for_the_commit_runs_when_all_can_be_seen(keys):
    seen = []
    with two_phase("users"):
        for alias in ("shard_1", "default", "shard_0"):
            transaction.on_commit(lambda a=alias: seen.append((a, counts())), using=alias)
        write(keys)
    assert seen == [("default", (1, 1, 1)), ("shard_0", (1, 1, 1)), ("shard_1", (1, 1, 1))]


def test_it_is_the_outermost_transaction(keys):
    for outer in (transaction.atomic(), shard_atomic("users", keys[1]), two_phase("users")):
        with outer, pytest.raises(CrossShardTransaction, match="outermost"), two_phase("users"):
            pass


def test_it_does_not_end_a_transaction_that_is_made_by_hand(keys):
    transaction.set_autocommit(False)
    try:
        with pytest.raises(CrossShardTransaction, match="outermost"), two_phase("users"):
            pass
    finally:
        transaction.set_autocommit(True)


def test_it_decorates_a_function(keys):
    two_phase("users")(write)(keys)
    assert counts() == (1, 1, 1)


def test_a_group_that_has_not_opted_in_is_told_how(keys):
    with (
        override_settings(SCALEKIT_DB_TWO_PHASE=[]),
        pytest.raises(TwoPhaseUnavailable, match=r"SCALEKIT_DB_TWO_PHASE = \['users'\]"),
        two_phase("users"),
    ):
        pass


def test_other_databases_than_postgresql_cannot(tmp_path):
    names = ("default", *SHARDS)
    entries = {name: sqlite(tmp_path / name) for name in names}
    settings = {"SCALEKIT_DB_SHARDING": sharding(*SHARDS), "SCALEKIT_DB_TWO_PHASE": ["users"]}
    with (
        databases(entries, **settings),
        pytest.raises(TwoPhaseUnavailable, match="SQLite"),
        two_phase("users"),
    ):
        pass


def test_a_test_case_sees_savepoints(keys):
    class Case(TestCase):
        databases = {"default", *SHARDS}

        def runTest(self):  # noqa: N802 - unittest's name
            with two_phase("users"):
                write(keys)
            with pytest.raises(ZeroDivisionError), two_phase("users"):
                write(keys, note="no")
                1 / 0  # noqa: B018 - raises
            assert counts() == (1, 1, 1)

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert not [*result.errors, *result.failures]
    assert counts() == (0, 0, 0)


def test_the_visitor_is_pinned_to_every_shard_that_was_written(across, keys):
    entries = entries_of(across)
    for alias in SHARDS:
        replica = entry(across, NAME=f"across_{alias}", SCALEKIT=replica_of(alias))
        entries[f"{alias}_replica"] = replica
    settings = {
        "SCALEKIT_DB_SHARDING": sharding(*SHARDS),
        "SCALEKIT_DB_TWO_PHASE": ["users"],
        "SCALEKIT_DB_PROBE_SECONDS": 0,
    }
    with databases(entries, **settings), unit_of_work():
        with two_phase("users"):
            write(keys)
        assert dealings().written >= set(SHARDS)
        connections.close_all()
