"""What is written to several shards happens on all of them, or on none, whoever dies in between."""
# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unittest
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test import TestCase, override_settings

from scalekit.core.context import unit_of_work
from scalekit.db import shard_atomic, two_phase
from scalekit.db.conf import schemes
from scalekit.db.exceptions import (
    CrossShardTransaction,
    TransactionInDoubt,
    TransactionRolledBack,
    TwoPhaseUnavailable,
)
from scalekit.db.facts import dealings
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions import settling
from scalekit.db.sharding.transactions.coordinating import Coordinator
from scalekit.db.sharding.transactions.recovering import Unreached, recover
from tests.db.databases import databases, replica_of, sharding, sqlite
from tests.integration.db.across.conftest import SHARDS, entries_of, prepared
from tests.integration.db.across.two_phase_victim import STEPS
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers

DECIDE = "INSERT INTO scalekit_db_transactiondecision"


@pytest.fixture
def keys(across):
    return tuple(next(k for k in range(500) if schemes["users"].shard_for(k) == a) for a in SHARDS)


def write(keys, note="both"):
    from tests.db.shop.models import Customer, Order

    Customer.objects.create(name=note)
    for key in keys:
        Order.objects.create(customer_id=key, note=note)


def counts():
    """Rows on default and each shard, as others see them."""
    from tests.db.shop.models import Customer, Order

    return (Customer.objects.count(), *(Order.objects.using(alias).count() for alias in SHARDS))


@contextmanager
def at(alias, statement, act):
    """Call `act(params)` just before a statement is sent."""

    def wrapper(execute, sql, params, many, context):
        if str(sql).startswith(statement):
            act(params)
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(wrapper):
        yield


def recovered(grace=0.0):
    return sorted(one.action for one in recover(grace))


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


@pytest.mark.parametrize("step", STEPS)
def test_recovery_ends_what_a_killed_process_left(across, keys, tmp_path, step):
    (tmp_path / "entries.json").write_text(json.dumps(entries_of(across)))
    victim = Path(__file__).with_name("two_phase_victim.py")
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, victim, tmp_path / "entries.json", step],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    recovered()
    expected = 1 if step in {"after the decision", "between the commits"} else 0
    assert counts() == (expected,) * 3
    assert prepared(across) == []
    assert recovered() == []


class Died(BaseException):
    pass


def leave_prepared(keys, note="both"):
    """End a block as a process does that dies after its prepares: nobody tidies up."""

    def die(_):
        raise Died

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(Died),
        at("default", DECIDE, die),
        two_phase("users"),
    ):
        patch.setattr(Coordinator, "_outcome", lambda *_: "rollback")
        patch.setattr(Coordinator, "_undo", lambda _: None)
        write(keys, note=note)


def test_what_is_young_is_left_alone(across, keys):
    leave_prepared(keys)
    assert recovered(grace=60) == ["wait", "wait"]
    assert len(prepared(across)) == 2
    assert recovered(grace=0) == ["rollback", "rollback"]


def test_a_coordinator_that_recovery_has_overtaken_commits_nothing(across, keys):
    actions = []
    with (
        pytest.raises(TransactionRolledBack, match="GRACE"),
        at("default", DECIDE, lambda _: actions.extend(recovered())),
        two_phase("users"),
    ):
        write(keys)
    assert actions == ["rollback", "rollback"]
    assert counts() == (0, 0, 0)


def test_recovery_may_commit_for_a_living_coordinator(across, keys):
    actions = []
    with (
        at("shard_0", "COMMIT PREPARED", lambda _: actions.extend(recovered())),
        two_phase("users"),
    ):
        write(keys)
    assert actions == ["commit", "commit"]
    assert counts() == (1, 1, 1)


def test_two_recoveries_at_once_end_each_part_once(across, keys):
    for number in range(4):
        leave_prepared(keys, note=str(number))
    barrier, actions, errors = Barrier(2), [], []

    def run():
        try:
            barrier.wait(30)
            actions.extend(recovered())
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert actions.count("rollback") == 8
    assert set(actions) <= {"rollback", "done by another"}
    assert prepared(across) == []


def test_transactions_of_others_are_not_touched(across, keys):
    for gid in ("theirs", "scalekit:1.2:" + "0" * 32 + ":shard_0:users", "scalekit:x"):
        with transaction.atomic(using="shard_0"), connections["shard_0"].cursor() as cursor:
            cursor.execute("INSERT INTO scalekit_db_referencelock (id) VALUES (%s)", [len(gid)])
            cursor.execute(f"PREPARE TRANSACTION '{gid}'")
    assert recovered() == []
    assert len(prepared(across)) == 3


def terminate(alias):
    pid = connections[alias].connection.info.backend_pid
    with own_connection(alias) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_shard_whose_connection_breaks_is_told_on_another(across, keys):
    with at("shard_1", "COMMIT PREPARED", lambda _: terminate("shard_1")), two_phase("users"):
        write(keys)
    assert counts() == (1, 1, 1)


def test_a_shard_that_is_gone_after_the_decision_is_told_by_recovery(across, keys):
    def lose(_):
        terminate("shard_1")
        across.execute("ALTER DATABASE across_shard_1 ALLOW_CONNECTIONS false")

    told = []
    with (
        pytest.raises(TransactionInDoubt, match="shard_1") as caught,
        at("shard_1", "COMMIT PREPARED", lose),
        two_phase("users"),
    ):
        write(keys)
        transaction.on_commit(lambda: told.append("committed"), using="shard_1")
    assert caught.value.committed is True
    assert told == ["committed"]
    assert [type(one) for one in recover(0)] == [Unreached]
    with pytest.raises(CommandError, match="shard_1 did not answer"):
        call_command("recover_transactions", stdout=StringIO())
    across.execute("ALTER DATABASE across_shard_1 ALLOW_CONNECTIONS true")
    assert recovered() == ["commit"]
    assert counts() == (1, 1, 1)


def test_a_default_that_is_lost_before_the_decision_rolls_back_all(across, keys):
    with (
        pytest.raises(DatabaseError),
        at("default", DECIDE, lambda _: terminate("default")),
        two_phase("users"),
    ):
        write(keys)
    assert counts() == (0, 0, 0)
    assert prepared(across) == []


def test_a_decision_that_cannot_be_read_is_left_to_recovery(across, keys, monkeypatch):
    monkeypatch.setattr(settling, "LOCK_TIMEOUT", "200ms")
    with own_connection() as rival:
        rival.set_autocommit(False)

        def rival_decides(params):
            with rival.cursor() as cursor:
                cursor.execute(settling.DECIDE, params)
            terminate("default")

        with (
            pytest.raises(TransactionInDoubt) as caught,
            at("default", DECIDE, rival_decides),
            two_phase("users"),
        ):
            write(keys)
        assert caught.value.committed is None
        assert len(prepared(across)) == 2
        rival.commit()
    assert recovered() == ["commit", "commit"]


def test_the_command_shows_what_it_would_do(across, keys):
    leave_prepared(keys)
    out = StringIO()
    call_command("recover_transactions", "--dry-run", "--grace=0", stdout=out)
    assert out.getvalue().count("would rollback") == 2
    call_command("recover_transactions", "--grace=0", stdout=out)
    call_command("recover_transactions", stdout=out)
    assert "Nothing is prepared." in out.getvalue()


def ids_of_checks(alias):
    return [fault.id for fault in checks.run_checks(tags=["database"], databases=[alias])]


def test_a_shard_that_lets_nothing_be_prepared_is_found_by_a_check(across, postgres_primary, keys):
    assert ids_of_checks("shard_0") == []
    entries = {**entries_of(across), "shard_0": entry(postgres_primary, NAME="postgres")}
    settings = {"SCALEKIT_DB_SHARDING": sharding(*SHARDS), "SCALEKIT_DB_TWO_PHASE": ["users"]}
    with databases(entries, **settings):
        assert ids_of_checks("shard_0") == ["scalekit.db.E050"]
        connections.close_all()


def test_what_was_left_prepared_is_found_by_a_check(across, keys, monkeypatch):
    monkeypatch.setattr("scalekit.db.sharding.transactions.checks.LATE", 0)
    leave_prepared(keys)
    assert ids_of_checks("shard_0") == ["scalekit.db.W050"]
