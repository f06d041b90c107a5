from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connections, transaction

from tests.integration.db.conftest import cluster
from tests.integration.db.failing import customers, heard

pytestmark = pytest.mark.servers

LONG_READ = "SELECT pg_is_in_recovery(), count(*), pg_sleep(2) FROM shop_customer"


@pytest.fixture
def conflicting(scalekit_servers):
    """A primary and a replica that gives up reads at once when they stand in the way of its replay."""
    primary = scalekit_servers.postgres("primary", settings={"autovacuum": "off"})
    replica = scalekit_servers.postgres_replica(
        primary,
        "replica_1",
        settings={"hot_standby_feedback": "off", "max_standby_streaming_delay": "50ms"},
    )
    with cluster(primary, [replica]):
        customers().bulk_create([customers().model(name=f"n{i}") for i in range(200)])
        replica.catch_up()
        yield primary
        connections.close_all()


def vacuum_after(seconds, primary):
    """Remove rows that a read on the replica may still see."""

    def remove():
        primary.execute("DELETE FROM shop_customer WHERE name <> 'n0'", database="shop")
        primary.execute("VACUUM shop_customer", database="shop")

    timer = threading.Timer(seconds, remove)
    timer.start()
    return timer


def test_a_read_that_conflicts_with_replay_is_run_on_the_primary(conflicting):
    vacuuming = vacuum_after(0.3, conflicting)
    with (
        heard("db_read_retried", "db_replica_down") as told,
        connections["replica_1"].cursor() as cursor,
    ):
        cursor.execute(LONG_READ)
        in_recovery, rows, _ = cursor.fetchone()
    vacuuming.join()
    assert (in_recovery, rows) == (False, 1)
    assert [name for name, _ in told] == ["db_read_retried"]
    assert "conflict with recovery" in told[0][1]["error"]
    with connections["replica_1"].cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (True,)  # the replica is well


def test_inside_a_transaction_it_is_not_run_again(conflicting):
    vacuuming = vacuum_after(0.3, conflicting)
    with (
        pytest.raises(OperationalError, match="conflict with recovery"),
        transaction.atomic(using="replica_1"),
        connections["replica_1"].cursor() as cursor,
    ):
        cursor.execute(LONG_READ)
    vacuuming.join()
