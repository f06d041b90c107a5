"""A number and a stretch of milliseconds are leased once, whatever clocks say."""

from __future__ import annotations

import socket

import pytest
from django.db import DatabaseError, connections

from scalekit.db.models import IdLease
from scalekit.db.sharding.id_leases import leasing
from scalekit.db.sharding.id_leases.leasing import Leases
from scalekit.db.sharding.ids import EPOCH_MS, NUMBERS, Everything, IdGenerator, Lease
from scalekit.testing.fakes import captured_events
from tests.db.databases import create_tables, databases, sharding, sqlite
from tests.db.test_db_ids import Clock

SPAN = 60_000  # SCALEKIT_DB_ID_LEASE_SECONDS


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """The table, on SQLite, where ids are else not leased."""
    entries = {name: sqlite(tmp_path / name) for name in ("default", "a")}
    with databases(entries, SCALEKIT_DB_SHARDING=sharding("a")):
        monkeypatch.setattr(leasing, "is_leasing", lambda: True)
        create_tables("default", app="scalekit_db")
        yield


@pytest.fixture
def clock():
    return Clock()


def now(clock):
    return clock.now - EPOCH_MS


def test_each_process_gets_a_number_of_its_own(clock):
    given = [Leases(clock).share(now(clock)) for _ in range(20)]
    assert len({lease.number for lease in given}) == 20
    assert all(lease.first == now(clock) for lease in given)


def test_a_process_keeps_its_number_and_its_stretches_follow_each_other(clock):
    mine = Leases(clock)
    first = mine.share(now(clock))
    clock.now += SPAN + 1
    second = mine.share(now(clock))
    assert second.number == first.number
    assert second.first == first.last + 1
    assert IdLease.objects.get().until_ms == second.last


def test_a_number_is_taken_over_when_its_lease_has_been_over_for_as_long_again(clock):
    first = Leases(clock).share(now(clock))
    clock.now += SPAN + 1
    assert Leases(clock).share(now(clock)).number != first.number
    IdLease.objects.exclude(number=first.number).delete()
    clock.now += SPAN + 1
    third = Leases(clock).share(now(clock))
    assert third.number == first.number
    assert third.first > first.last


def test_who_was_frozen_while_its_number_was_taken_over_takes_another(clock):
    frozen, other = Leases(clock), Leases(clock)
    first = frozen.share(now(clock))
    clock.now += 2 * SPAN + 1
    second = other.share(now(clock))
    assert second.number == first.number
    third = frozen.share(now(clock))
    assert third.number != first.number


def test_a_clock_that_is_set_back_gets_no_stretch_twice(clock):
    first = Leases(clock).share(now(clock))
    clock.now += 2 * SPAN + 1
    second = Leases(clock).share(now(clock) - 3 * SPAN)
    assert second.number == first.number
    assert second.first > first.last


def test_what_runs_ahead_of_its_clock_leases_on(clock):
    """A burst for one slot borrows time from the future, leased as all other."""
    ids = IdGenerator(clock, Leases(clock).share)
    made = [ids.next_id(1) for _ in range(SPAN + 10_000)]  # a second's worth each second
    assert made == sorted(set(made))
    assert IdLease.objects.get().until_ms > now(clock) + SPAN


def test_a_child_process_is_a_holder_of_its_own(clock):
    mine = Leases(clock)
    first = mine.share(now(clock))
    mine.fork()
    assert mine.share(now(clock)).number != first.number


def test_when_all_numbers_are_leased_ids_are_made_without_and_it_is_said(clock):
    until = now(clock) + SPAN
    IdLease.objects.bulk_create(
        IdLease(number=n, holder="x", until_ms=until) for n in range(NUMBERS)
    )
    mine = Leases(clock)
    share = mine.share(now(clock))
    assert isinstance(share, Everything)
    with captured_events("db_id_lease_failed") as events:
        mine.tell()
        mine.tell()
    assert len(events) == 1
    assert "1024" in events[0].payload["error"]
    assert share.last == now(clock) + leasing.AGAIN_MS


def test_without_the_database_ids_are_made_all_the_same(clock, monkeypatch):
    def unreachable(*_, **__):
        raise DatabaseError("it is down")

    monkeypatch.setattr(leasing, "ask", unreachable)
    mine = Leases(clock)
    ids = IdGenerator(clock, mine.share, mine.tell)
    with captured_events("db_id_lease_failed") as events:
        ids.next_id(1)
    assert events[0].payload["error"] == "it is down"


def test_where_no_thread_can_be_started_any_more_ids_are_made_all_the_same(clock, monkeypatch):
    def shut_down(*_, **__):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(leasing, "ask", shut_down)
    assert isinstance(Leases(clock).share(1000), Everything)


def test_a_default_database_that_does_not_say_a_word_is_waited_for_a_moment_only(clock):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        entry = {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "NAME": "x"}
        mine = Leases(clock)
        with databases({"default": entry}), captured_events("db_id_lease_failed") as events:
            assert isinstance(mine.share(1000), Everything)
            mine.tell()
    assert "timeout" in events[0].payload["error"]


def test_before_the_table_is_there_nothing_is_said(clock):
    with connections["default"].schema_editor() as editor:
        editor.delete_model(IdLease)
    mine = Leases(clock)
    with captured_events("db_id_lease_failed") as events:
        assert isinstance(mine.share(1000), Everything)
        mine.tell()
    assert not events


def test_the_lease_is_as_long_as_the_setting_says(clock, settings):
    settings.SCALEKIT_DB_ID_LEASE_SECONDS = 5
    lease = Leases(clock).share(now(clock))
    assert isinstance(lease, Lease)
    assert lease.last - lease.first == 5000


@pytest.mark.parametrize("off", [{"SCALEKIT_DB_SHARDING": {}}, {"SCALEKIT_DB_ID_LEASE_SECONDS": 0}])
def test_without_shards_or_when_switched_off_nobody_is_asked(clock, off, settings, monkeypatch):
    monkeypatch.undo()
    for name, value in off.items():
        setattr(settings, name, value)
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    assert isinstance(Leases(clock).share(1000), Everything)
    assert not IdLease.objects.exists()
