from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from scalekit.db.backends.postgresql import following
from scalekit.db.events import PRIMARY_SILENT
from scalekit.db.exceptions import PrimaryDown, StalePrimary
from scalekit.db.outage.state import is_read_only
from tests.db.databases import create_tables, databases, replica_of
from tests.integration.db.conftest import NAME, entry
from tests.integration.db.failing import (
    calling,
    customers,
    eventually,
    forget_servers,
    heard,
    read_in_a_request,
)

pytestmark = pytest.mark.servers

POOL = {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 4}}}


def settings_of(one, other, **extra):
    """A primary that is on either of two hosts, and a replica alias for the other of them."""
    hosts = {"HOST": f"{one.host},{other.host}", "PORT": f"{one.port},{other.port}"}
    replica = entry(other, SCALEKIT=replica_of("default"), **extra)
    return {"default": entry(one, **hosts, **extra), "replica_1": replica}


@pytest.fixture(params=[{}, POOL], ids=["plain", "pool"])
def either(request, scalekit_servers):
    """Two servers, of which one is the primary."""
    one = scalekit_servers.postgres("one")
    other = scalekit_servers.postgres_replica(one, "other")
    one.create_database(NAME)
    forget_servers()
    with databases(settings_of(one, other, **request.param)):
        create_tables("default")
        customers().create(name="Ann")
        other.catch_up()
        yield one, other
        connections.close_all()
        forget_servers()


def fail_over(one, other, how="kill"):
    getattr(one, how)()
    other.promote()


def write():
    customers().create(name="Bob")


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_writes_go_on_within_five_seconds_of_a_promotion(either, how):
    one, other = either
    written = []

    def try_to_write():
        with suppress(DatabaseError):
            write()
            written.append(time.monotonic())

    with calling(try_to_write, rate=20):
        time.sleep(0.5)
        fail_over(one, other, how)
        promoted = time.monotonic()
        if how == "freeze":  # all threads wait for it: the monitor alone can tell
            time.sleep(1)
            PRIMARY_SILENT.emit(alias="default")
        assert eventually(lambda: written and written[-1] > promoted, 10)
    first = min(moment for moment in written if moment > promoted)
    print(f"{how}: first write {first - promoted:.2f} s after the promotion")  # noqa: T201
    assert first - promoted < 5
    if how == "freeze":
        one.thaw()


def test_no_idle_connection_costs_a_write_after_a_failover(either):
    one, other = either
    write()
    fail_over(one, other)
    write()
    with transaction.atomic():
        write()
    assert customers().filter(name="Bob").count() == 3


def test_an_old_primary_that_comes_back_is_refused(either):
    one, other = either
    fail_over(one, other)
    write()
    one.start()
    other.stop()
    connections.close_all()
    with heard("db_split_brain") as told, pytest.raises(OperationalError) as caught:
        write()
    assert isinstance(caught.value.__cause__, StalePrimary) or "is down" in str(caught.value)
    assert eventually(lambda: told)
    assert one.value("SELECT count(*) FROM shop_customer", database=NAME) == 1


def test_a_new_process_passes_over_an_old_primary_that_comes_first_in_the_list(either):
    one, other = either
    fail_over(one, other)
    write()
    one.start()
    connections.close_all()
    forget_servers()
    write()
    assert one.value("SELECT count(*) FROM shop_customer", database=NAME) == 1
    assert other.value("SELECT count(*) FROM shop_customer", database=NAME) == 3


def test_connections_to_a_primary_that_was_left_behind_are_ended(either):
    one, other = either
    with transaction.atomic():
        write()
        other.promote()
        probe = connections.create_connection("default")
        following._last["default"] = (other.host, str(other.port))
        with heard("db_primary_moved") as told:
            probe.reach()
        assert told
        with pytest.raises(OperationalError):
            write()
        transaction.set_rollback(True)
    assert one.value("SELECT count(*) FROM shop_customer", database=NAME) == 1


def test_reads_survive_a_promotion(either):
    one, other = either
    with calling(rate=20) as tally:
        time.sleep(0.5)
        one.stop()
        other.promote()
        time.sleep(1)
    assert tally.failures == []
    assert len(tally.seconds) > 50


def test_nothing_is_written_twice_or_run_again_inside_a_transaction(either):
    one, other = either
    with pytest.raises(OperationalError), transaction.atomic():  # noqa: PT012 - the transaction must end in it
        write()
        fail_over(one, other)
        write()
    assert customers().filter(name="Bob").count() == 0


def test_a_query_that_has_not_begun_waits_for_the_next_primary(either, settings):
    settings.SCALEKIT_DB_FAILOVER_WAIT = 8
    one, other = either
    one.kill()
    promoting = threading.Timer(1, other.promote)
    promoting.start()
    started = time.monotonic()
    write()
    assert 0.5 < time.monotonic() - started < 7
    promoting.join()


def test_while_the_primary_is_down_who_needs_it_is_told_at_once(either, settings):
    settings.SCALEKIT_DB_FAILOVER_WAIT = 0
    one, other = either
    one.kill()
    with heard("db_primary_down", "db_primary_up") as told:
        with pytest.raises(OperationalError):
            write()
        assert is_read_only()
        started = time.monotonic()
        for _ in range(50):
            with pytest.raises(PrimaryDown):
                write()
        assert time.monotonic() - started < 0.5
        assert read_in_a_request() == "Ann"
        other.promote()
        assert eventually(lambda: not is_read_only())
    assert [name for name, _ in told] == ["db_primary_down", "db_primary_up"]
    write()
