"""What a process, a shard or default leaves behind in the middle of a commit is ended on all shards alike."""
# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, transaction

from scalekit.db import two_phase
from scalekit.db.exceptions import (
    TransactionInDoubt,
    TransactionRolledBack,
)
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions import settling
from scalekit.db.sharding.transactions.coordinating import Coordinator
from scalekit.db.sharding.transactions.names import Name, owner_of
from scalekit.db.sharding.transactions.recovering import Unreached, recover
from tests.db.databases import databases, sharding
from tests.integration.db.across.conftest import SHARDS, entries_of, prepared
from tests.integration.db.across.two_phase_victim import STEPS
from tests.integration.db.across.writing import (
    DECIDE,
    at,
    counts,
    leave_prepared,
    recovered,
    terminate,
    write,
)
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def victims(across_server, tmp_path_factory):
    """A process that forks those that die, so that Django is loaded once."""
    entries = tmp_path_factory.mktemp("victims") / "entries.json"
    entries.write_text(json.dumps(entries_of(across_server)))
    command = [sys.executable, Path(__file__).with_name("two_phase_victim.py"), entries]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("step", STEPS)
def test_recovery_ends_what_a_killed_process_left(across, keys, victims, step):
    print(step, file=victims.stdin, flush=True)
    assert int(victims.stdout.readline()) == -signal.SIGKILL
    recovered()
    expected = 1 if step in {"after the decision", "between the commits"} else 0
    assert counts() == (expected,) * 3
    assert prepared(across) == []
    assert recovered() == []


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


def test_a_part_of_a_shard_that_had_another_alias_is_ours(across, keys):
    gid = Name(owner_of(connections["default"]), uuid4(), "former_name", "users")
    with transaction.atomic(using="shard_0"), connections["shard_0"].cursor() as cursor:
        cursor.execute(f"PREPARE TRANSACTION '{gid}'")
    assert recovered() == ["rollback"]
    assert prepared(across) == []


def test_a_shard_whose_connection_breaks_is_told_on_another(across, keys):
    with at("shard_1", "COMMIT PREPARED", lambda _: terminate("shard_1")), two_phase("users"):
        write(keys)
    assert counts() == (1, 1, 1)


@contextmanager
def closed_afterwards(server, database):
    """Give a function that closes a database to everybody, until the block ends."""

    def close():
        server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")

    try:
        yield close
    finally:
        server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


def test_a_shard_that_is_gone_after_the_decision_is_told_by_recovery(across, keys):
    told = []
    with closed_afterwards(across, "across_shard_1") as close:

        def lose(_):
            terminate("shard_1")
            close()

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


def test_a_coordinator_that_hangs_in_its_decision_keeps_no_other_from_recovery(
    across, keys, monkeypatch
):
    monkeypatch.setattr(settling, "LOCK_TIMEOUT", "100ms")
    leave_prepared(keys)
    hanging = UUID(hex=prepared(across)[0].split(":")[2])
    leave_prepared(keys, note="another")
    with own_connection() as coordinator:
        coordinator.set_autocommit(False)
        with coordinator.cursor() as cursor:
            cursor.execute(settling.DECIDE, [hanging, "users"])
        assert recovered() == ["rollback", "rollback", "wait", "wait"]
        coordinator.commit()
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


def test_an_interrupt_after_the_decision_leaves_all_committed(across, keys, monkeypatch):
    decide = Coordinator._decide

    def interrupted(coordinator):
        decide(coordinator)
        raise KeyboardInterrupt

    monkeypatch.setattr(Coordinator, "_decide", interrupted)
    with pytest.raises(KeyboardInterrupt), two_phase("users"):
        write(keys)
    assert counts() == (1, 1, 1)
    assert prepared(across) == []
