"""Ids and values that are unique over processes and shards, on PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from array import array
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections, transaction
from django.db.models import Count

from scalekit.db.conf import schemes
from scalekit.db.exceptions import LookupTaken
from scalekit.db.models import IdLease, ShardLookup
from scalekit.db.sharding.id_leases import leasing
from scalekit.db.sharding.ids import EPOCH_MS, TURNS, generator, milliseconds_of_id
from scalekit.db.sharding.lookup_index import connecting
from scalekit.db.sharding.lookup_index.digests import digest_of, lock_number
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.testing.fakes import captured_events
from tests.db.club_databases import club, club_databases, groups
from tests.db.databases import rolled_back
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers

NAME = "club"
EMAIL = "ann@example.org"


@pytest.fixture(scope="module")
def club_entries(postgres_primary, postgres_shards):
    """Create the databases, once for all tests of this module."""
    servers = {"default": postgres_primary} | {s.name: s for s in postgres_shards}
    for server in servers.values():
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.create_database(NAME)
    return {alias: entry(server, NAME=NAME) for alias, server in servers.items()}


@pytest.fixture
def sharded_club(club_entries, monkeypatch):
    monkeypatch.setattr(leasing, "PATIENCE", 60)  # for machines that are slow
    shards = [alias for alias in club_entries if alias != "default"]
    with club_databases(club_entries, *shards):
        generator.fork()  # ids are leased from this database from now on
        yield club_entries
        for model in (ShardLookup, IdLease):
            model.objects.all().delete()
        for alias in shards:
            for model in (club().Visit, club().Pass, club().Member):
                model.objects.using(alias).all()._raw_delete(alias)
        connections.close_all()


@pytest.fixture
def families(sharded_club):
    """Return two families that live on different shards."""
    home = schemes["users"].shard_for
    return 1, next(key for key in range(2, 99) if home(key) != home(1))


@contextmanager
def process(entries, *task):
    aliases = [alias for alias in entries if alias != "default"]
    command = [
        sys.executable,
        "-m",
        "tests.integration.db.club_process",
        json.dumps(entries),
        json.dumps(groups(*aliases)),
    ]
    with subprocess.Popen(
        [*command, *map(str, task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def member(family):
    return club().Member.objects.create(family=family, email=EMAIL)


def test_a_value_that_a_dead_process_took_is_free_at_once(sharded_club, families):
    here, there = families
    with process(sharded_club, "claim", here, EMAIL) as writer:
        assert writer.stdout.readline() == "taken\n"
        assert ShardLookup.objects.count() == 1
        writer.kill()  # between the reservation and the row
        writer.wait()
    ann = member(there)
    assert club().Member.objects.get(email=EMAIL) == ann
    assert ShardLookup.objects.get().shard_key == str(there)


def test_a_value_that_a_living_process_took_is_waited_for_and_then_given_up(
    sharded_club, families, monkeypatch
):
    monkeypatch.setattr(connecting, "PATIENCE_MS", 200)
    here, there = families
    with process(sharded_club, "claim", here, EMAIL) as writer:
        assert writer.stdout.readline() == "taken\n"
        with pytest.raises(LookupTaken):
            member(there)
        writer.communicate("\n")
    member(there)  # the writer ended without a row


def test_an_update_waits_for_a_value_before_it_locks_the_row_as_a_save_does(sharded_club, families):
    ann = member(families[0])

    def update():
        club().Member.objects.filter(pk=ann.pk).update(email="new@example.org")
        connections.close_all()

    thread = threading.Thread(target=update)
    with own_connection(ann._state.db) as other, transaction_of(other), other.cursor() as cursor:
        digest = digest_of(club().Member._meta.get_field("email"), "new@example.org")
        number = lock_number("club.member", "email", digest)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
        thread.start()
        for _ in range(2000):
            cursor.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if cursor.rowcount:
                break
            time.sleep(0.01)
        cursor.execute("SELECT FROM club_member FOR UPDATE NOWAIT")
    thread.join()
    assert club().Member.objects.get(email="new@example.org") == ann


def test_a_transaction_of_many_values_does_not_use_up_the_server_s_locks(
    sharded_club, families, monkeypatch
):
    monkeypatch.setattr(connecting, "MOST", 5)
    here, _ = families
    alias = schemes["users"].shard_for(here)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for number in range(12):
            club().Member.objects.create(family=here, email=f"{number}@example.org")
        cursor.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.rowcount == 7  # five values, and all of them, shared and then alone
    member(here)
    assert club().Member.objects.get(email="11@example.org").family == here


def test_who_frees_a_value_that_another_holds_leaves_it_to_that_one(
    sharded_club, families, monkeypatch
):
    monkeypatch.setattr(connecting, "PATIENCE_MS", 200)
    ann = member(families[0])
    entry = ShardLookup.objects.get()
    with own_connection(ann._state.db) as other, transaction_of(other):
        number = lock_number(entry.model, entry.field, entry.digest)
        other.cursor().execute("SELECT pg_advisory_xact_lock(%s)", [number])
        ann.delete()
    assert ShardLookup.objects.count() == 1
    member(families[1])


def test_of_creators_at_once_on_two_shards_one_wins(sharded_club, families):
    outcomes, barrier = [], threading.Barrier(4)

    def create(family):
        try:
            barrier.wait(60)
            with transaction.atomic(using=schemes["users"].shard_for(family)):
                member(family)
            outcomes.append("created")
        except LookupTaken:
            outcomes.append("taken")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create, args=[family]) for family in families * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", "taken", "taken", "taken"]
    assert club().Member.objects.scatter().filter(name="").count() == 1


def test_of_those_who_get_or_create_at_once_all_get_the_same_row(sharded_club, families):
    found, barrier = [], threading.Barrier(4)

    def get(family):
        barrier.wait(60)
        rows = club().Member.objects
        found.append(rows.get_or_create(email=EMAIL, defaults={"family": family}))
        connections.close_all()

    threads = [threading.Thread(target=get, args=[family]) for family in families * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.pk for row, _ in found}) == 1
    assert [created for _, created in found].count(True) == 1


def test_a_reservation_holds_though_a_transaction_on_default_comes_to_nothing(
    sharded_club, families
):
    here, there = families
    with rolled_back():
        ann = member(here)  # committed on its shard
    with pytest.raises(LookupTaken):
        member(there)
    assert club().Member.objects.get(email=EMAIL) == ann


def test_a_test_case_keeps_the_index_to_itself(sharded_club, families):
    here, there = families
    with in_test_case(*sharded_club):
        ann = member(here)
        with pytest.raises(LookupTaken):
            member(there)
        ann.delete()  # whose commit never comes
        assert member(there) == club().Member.objects.get(email=EMAIL)
    assert not ShardLookup.objects.exists()


@contextmanager
def in_test_case(*aliases):
    """Open the transactions in which Django's TestCase wraps a test, and roll them back."""
    with ExitStack() as stack:
        for alias in aliases:
            block = transaction.atomic(using=alias)
            block._from_testcase = True
            stack.enter_context(block)
        yield
        for alias in aliases:
            transaction.set_rollback(True, using=alias)


def test_processes_that_make_ids_at_once_make_none_twice(sharded_club, tmp_path):
    count, slots = 10_000, 16  # few slots, so that ids would meet often
    with (
        process(sharded_club, "ids", tmp_path / "0", count, slots) as one,
        process(sharded_club, "ids", tmp_path / "1", count, slots) as two,
        process(sharded_club, "ids", tmp_path / "2", count, slots) as three,
    ):
        makers = one, two, three
        for maker in makers:
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            maker.stdin.write("\n")
            maker.stdin.flush()
        for maker in makers:
            maker.stdin.close()
            assert maker.wait(120) == 0
    made = [number for file in tmp_path.iterdir() for number in numbers(file)]
    assert len(made) == len(set(made)) == 3 * (count + count // 2)
    assert IdLease.objects.count() == 6  # each process's, and each child's


def numbers(file):
    found = array("q")
    found.frombytes(file.read_bytes())
    return found


def test_ids_made_by_saving_are_leased(sharded_club, families, django_assert_num_queries):
    with django_assert_num_queries(1):  # on the default database: that of the index
        ann = member(families[0])
    lease = IdLease.objects.get()
    assert (milliseconds_of_id(ann.pk) - EPOCH_MS) % TURNS == lease.number % TURNS


def test_a_transaction_on_default_that_is_rolled_back_keeps_the_lease(sharded_club, families):
    with rolled_back():
        member(families[0])
    assert IdLease.objects.count() == 1


def test_a_table_of_leases_that_is_locked_is_waited_for_a_moment_only(
    sharded_club, families, monkeypatch
):
    monkeypatch.setattr(leasing, "PATIENCE", 1)
    with own_connection() as other, transaction_of(other):
        other.cursor().execute("LOCK TABLE scalekit_db_idlease")
        with captured_events("db_id_lease_failed") as events:
            member(families[0])
    assert "timeout" in events[0].payload["error"]


@contextmanager
def transaction_of(connection):
    connection.cursor().execute("BEGIN")
    yield
    connection.cursor().execute("ROLLBACK")


@pytest.mark.parametrize(
    "kind",
    [
        lambda rows: rows.distinct(),
        lambda rows: rows.values("id"),
        lambda rows: rows.select_related("sport"),
        lambda rows: rows.annotate(paid=Count("visits__paid")),
    ],
    ids=["distinct", "values", "outer join", "grouped"],
)
def test_a_query_that_cannot_be_locked_updates_a_value_all_the_same(sharded_club, families, kind):
    ann = member(families[0])
    assert kind(club().Member.objects.filter(family=families[0])).update(number=7) == 1
    assert club().Member.objects.get(number=7) == ann
