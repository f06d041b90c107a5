from __future__ import annotations

import time

import pytest
from django.db import connections

from tests.integration.db.conftest import cluster
from tests.integration.db.failing import (
    calling,
    customers,
    eventually,
    forget_servers,
    heard,
    read_in_a_request,
)
from tests.integration.db.watching import watch

pytestmark = pytest.mark.servers


@pytest.fixture
def watched(scalekit_servers):
    """A primary and two replicas, with the monitor that every process has."""
    primary = scalekit_servers.postgres("primary")
    replicas = [scalekit_servers.postgres_replica(primary, f"replica_{i}") for i in (1, 2)]
    with cluster(primary, replicas):
        customers().create(name="Ann")
        for server in replicas:
            server.catch_up()
        watch()
        yield primary, replicas
        connections.close_all()
        forget_servers()


def at_fifty_a_second():
    return calling(threads=5, rate=10)


def test_a_killed_replica_fails_no_request_at_fifty_a_second(watched):
    _, (victim, _) = watched
    with at_fifty_a_second() as tally, heard("db_replica_down", "db_replica_up") as told:
        time.sleep(2)
        victim.kill()
        assert eventually(lambda: told, 3) is not None
        time.sleep(2)
        victim.start()
        assert eventually(lambda: ("db_replica_up", "replica_1") in names(told), 10) is not None
    print(f"{len(tally.seconds)} requests, the slowest {tally.slowest * 1000:.0f} ms")  # noqa: T201
    assert tally.failures == []
    assert len(tally.seconds) > 150
    assert tally.slowest < 2


def names(told):
    return [(name, payload["alias"]) for name, payload in told]


def test_a_hung_replica_fails_no_request_at_fifty_a_second(watched):
    _, (victim, _) = watched
    with at_fifty_a_second() as tally, heard("db_replica_down", "db_reads_freed") as told:
        time.sleep(2)
        with victim.frozen():
            time.sleep(5)
    print(f"{len(tally.seconds)} requests, the slowest {tally.slowest * 1000:.0f} ms")  # noqa: T201
    assert ("db_replica_down", "replica_1") in names(told)
    assert ("db_reads_freed", "replica_1") in names(told)
    assert tally.failures == []
    assert tally.slowest < 5


def test_reads_go_on_while_the_primary_hangs(watched):
    primary, _ = watched
    with heard("db_primary_silent", "db_primary_down") as told, at_fifty_a_second() as tally:
        time.sleep(2)
        with primary.frozen():
            assert eventually(lambda: ("db_primary_down", "default") in names(told), 8) is not None
            assert read_in_a_request() == "Ann"
    assert tally.failures == []
    assert eventually(can_write, 5) is not None


def can_write():
    try:
        customers().create(name="Bob")
    except Exception:  # noqa: BLE001 - not yet
        return False
    return True
