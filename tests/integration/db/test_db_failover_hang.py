from __future__ import annotations

import threading
import time

import pytest
from django.db import OperationalError, connections, transaction

from scalekit.db.rotation import rotation
from tests.integration.db.conftest import cluster
from tests.integration.db.failing import (
    calling,
    customers,
    eventually,
    forget_servers,
    heard,
    read_in_a_request,
)

pytestmark = pytest.mark.servers

SLEEP = "SELECT pg_sleep(%s)::text || name FROM shop_customer"


@pytest.fixture(params=[{}, {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}], ids=["plain", "pool"])
def pair(request, scalekit_servers):
    """A primary and a replica of this test's own."""
    primary = scalekit_servers.postgres("primary")
    replica = scalekit_servers.postgres_replica(primary, "replica_1")
    with cluster(primary, [replica], **request.param):
        customers().create(name="Ann")
        replica.catch_up()
        yield primary, replica
        connections.close_all()
        forget_servers()


def flagged_after(seconds):
    """Say after a while what the monitor says of a server that does not answer."""
    timer = threading.Timer(seconds, rotation.down, ["replica_1", TimeoutError("no answer")])
    timer.start()
    return timer


def test_a_read_on_an_idle_connection_to_a_hung_replica_is_freed(pair):
    _, replica = pair
    assert read_in_a_request() == "Ann"
    with replica.frozen(), heard("db_reads_freed", "db_read_retried") as told:
        flagged_after(0.5)
        started = time.monotonic()
        assert read_in_a_request() == "Ann"
        assert time.monotonic() - started < 4
        # A pool may give up waiting for a connection a moment before those that wait are woken.
        both = {"db_reads_freed", "db_read_retried"}
        assert eventually(lambda: both <= {name for name, _ in told}) is not None
    connections.close_all()


def test_a_read_whose_replica_hangs_while_it_runs_is_freed(pair):
    _, replica = pair
    answers = []

    def read():
        with connections["replica_1"].cursor() as cursor:
            cursor.execute(SLEEP, [1])
            answers.append(cursor.fetchone())
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.4)
    with replica.frozen():
        flagged_after(0.2)
        reader.join(8)
        assert not reader.is_alive()
        assert answers == [("Ann",)]


def test_a_slow_report_is_left_alone_when_its_replica_leaves_the_rotation(pair):
    answers = []

    def read():
        with connections["replica_1"].cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery(), pg_sleep(3)")
            answers.append(cursor.fetchone()[0])
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    with heard("db_reads_freed", "db_read_retried") as told:
        rotation.down("replica_1", RuntimeError("it lags"))
        reader.join(8)
    assert answers == [True]
    assert told == []


def test_a_hung_replica_costs_no_request(pair):
    _, replica = pair
    with calling(rate=12) as tally:
        time.sleep(0.5)
        with replica.frozen():
            flagged_after(1)
            time.sleep(5)
    assert tally.failures == []
    assert len(tally.seconds) > 100
    assert tally.slowest < 4.5


def test_inside_a_transaction_a_hung_replica_s_read_fails_and_is_not_run_again(pair):
    _, replica = pair
    with pytest.raises(OperationalError), transaction.atomic(using="replica_1"):  # noqa: PT012 - the transaction must end in it
        customers().using("replica_1").get()
        replica.freeze()
        flagged_after(0.2)
        customers().using("replica_1").get()
    replica.thaw()
    connections.close_all()


def test_a_thawed_replica_answers_again(pair, settings):
    settings.SCALEKIT_DB_RETRY_SECONDS = 0.2
    _, replica = pair
    with replica.frozen():
        flagged_after(0.1)
        read_in_a_request()
        read_in_a_request()
    with heard("db_replica_up") as told:

        def is_back():
            read_in_a_request()
            return bool(told)

        assert eventually(is_back)
    connections.close_all()
