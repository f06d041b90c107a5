from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise

import pytest
from django.db import DatabaseError, connections, transaction

from scalekit.db.conf import discoveries
from tests.db.databases import create_tables, databases, replica_of
from tests.integration.db import patroni_cluster
from tests.integration.db.conftest import ENGINE
from tests.integration.db.failing import calling, customers, forget_servers

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


def entry(node, **extra):
    return {
        "ENGINE": ENGINE,
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": patroni_cluster.PASSWORD,
        "HOST": node.address[0],
        "PORT": node.address[1],
        "CONN_MAX_AGE": 60,
        **extra,
    }


@pytest.fixture
def nodes(scalekit_servers):
    """A Patroni cluster, of which the settings know the REST API and no primary."""
    nodes = patroni_cluster.start(scalekit_servers)
    nowhere = {"HOST": "127.0.0.1", "PORT": str(scalekit_servers.free_port())}
    entries = {"default": entry(nodes[0], **nowhere)}
    for node in nodes:
        entries[node.name] = entry(node, SCALEKIT=replica_of("default"))
    options = {"urls": [node.url for node in nodes]}
    discovery = {"BACKEND": "scalekit.db.discovery.patroni.Patroni", "OPTIONS": options}
    forget_servers()
    with databases(entries, SCALEKIT_DB_DISCOVERY={"default": discovery}):
        create_tables("default")
        yield nodes
        connections.close_all()
        forget_servers()


def write():
    with transaction.atomic():
        customers().create(name="Bob")


def seconds_until_written(limit=40):
    started = time.monotonic()
    while time.monotonic() - started < limit:
        try:
            write()
        except DatabaseError:
            time.sleep(0.05)
        else:
            return time.monotonic() - started
    pytest.fail(f"no write within {limit} s")


def other_leader(nodes, before):
    now = patroni_cluster.leader(nodes)
    return now if now is not None and now is not before else None


def test_patroni_s_leader_is_followed(nodes, scalekit_servers):
    write()
    first = patroni_cluster.leader(nodes)
    assert discoveries["default"].primary() == first.address
    assert connections["default"].connection.info.port == first.port

    first.kill_postgres()
    after_kill = seconds_until_written()
    scalekit_servers.waits.until(lambda: other_leader(nodes, first), "a new leader", 30)
    second = patroni_cluster.leader(nodes)

    scalekit_servers.waits.until(
        lambda: len(patroni_cluster.states(nodes)) == 3, "the old leader's return", 60
    )
    pause = longest_pause_between_writes(lambda: patroni_cluster.switch_over(second))
    print(f"kill -9: {after_kill:.1f} s, switchover: {pause:.1f} s without a write")  # noqa: T201
    assert patroni_cluster.leader(nodes) is not second
    assert after_kill < 15  # of which Patroni needs two or three to notice and decide
    assert pause < 10


def longest_pause_between_writes(happening):
    written = [time.monotonic()]

    def try_to_write():
        with suppress(DatabaseError):
            write()
            written.append(time.monotonic())

    with calling(try_to_write, threads=2, rate=20):
        time.sleep(0.5)
        happening()
        time.sleep(4)
    written.sort()
    return max(later - earlier for earlier, later in pairwise(written))
