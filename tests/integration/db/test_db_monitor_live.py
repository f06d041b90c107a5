from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest
from django.db import connections

from scalekit.core.context import unit_of_work
from scalekit.db.events import REPLICA_DOWN
from scalekit.db.monitor.watching import monitor
from scalekit.db.rotation import rotation
from tests.integration.db.conftest import cluster
from tests.integration.db.failing import calling
from tests.integration.db.watching import back, out, until, watch

pytestmark = pytest.mark.servers

MONITORS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scalekit monitor'"
DETECTED, RETURNED = 2.0, 2.5  # seconds: what is promised, and a round for one that has to connect


def customers():
    from tests.db.shop.models import Customer

    return Customer.objects


@pytest.fixture
def reasons():
    heard = {}
    end = REPLICA_DOWN.subscribe(
        lambda _, payload: heard.setdefault(payload["alias"], payload["reason"])
    )
    yield heard
    end()


@pytest.fixture
def fragile(scalekit_servers):
    """A cluster of this test's own, to be broken, and watched."""
    primary = scalekit_servers.postgres("primary")
    replicas = [scalekit_servers.postgres_replica(primary, f"replica_{i}") for i in (1, 2)]
    with cluster(primary, replicas):
        watch()
        yield primary, replicas


@pytest.fixture
def watched(replicated):
    watch()
    return replicated


def test_an_idle_primary_puts_no_replica_out(watched, reasons):
    time.sleep(4)
    assert reasons == {}
    assert [monitor.sight_of(server.name).lag for server in watched] == [0, 0]


def test_a_paused_replica_that_misses_something_is_out_and_comes_back(watched, reasons):
    one, _ = watched
    with one.replay_paused():
        customers().create(name="Ann")
        assert until(out(one.name)) < DETECTED
        until(lambda: reasons == {one.name: "paused"})
        assert rotation.usable("replica_2")
    until(back(one.name), RETURNED)


def test_a_replica_that_lags_is_out_and_comes_back(watched, reasons, settings):
    settings.SCALEKIT_DB_MAX_LAG = 1.0
    one, _ = watched
    one.delay_replay(4)
    try:
        customers().create(name="Ann")
        assert until(out(one.name)) < settings.SCALEKIT_DB_MAX_LAG + DETECTED + 0.5
        until(lambda: reasons == {one.name: "lag"})
    finally:
        one.delay_replay(0)
    until(back(one.name), RETURNED + 4)


def test_a_replica_cut_off_from_an_idle_primary_is_out_and_comes_back(fragile, reasons):
    _, (one, _) = fragile
    sound = one.role_settings()
    one.configure(primary_conninfo="host=127.0.0.1 port=1 user=postgres")
    assert until(out(one.name)) < DETECTED
    until(lambda: reasons == {one.name: "cut off"})
    one.configure(**sound)
    one.wait_streaming()
    until(back(one.name), RETURNED)


def test_a_frozen_replica_is_out_and_delays_no_other_s_probe(fragile, reasons):
    _, (one, two) = fragile
    with one.frozen():
        assert until(out(one.name)) < DETECTED
        until(lambda: reasons == {one.name: "hung"})
        looked = monitor.sight_of(two.name).observed.at
        time.sleep(4)
        assert monitor.sight_of(two.name).observed.at - looked > 2.5
        with unit_of_work():
            started = time.monotonic()
            assert customers().all().db == two.name
            assert time.monotonic() - started < 0.05
    until(back(one.name), RETURNED)
    assert two.value(MONITORS) == one.value(MONITORS) == 1


def test_a_killed_replica_is_out_and_back_after_its_restart(fragile, reasons):
    _, (one, _) = fragile
    one.kill()
    assert until(out(one.name)) < DETECTED
    one.start()
    one.wait_ready()
    until(back(one.name), RETURNED)
    assert reasons[one.name] == "unreachable"


def test_a_promoted_replica_is_out_and_replicas_stay_without_their_primary(fragile, reasons):
    primary, (one, two) = fragile
    primary.kill()
    until(lambda: monitor.sight_of("default").reason == "unreachable")
    time.sleep(1.5)
    assert reasons == {}
    one.promote()
    assert until(out(one.name)) < DETECTED
    until(lambda: reasons == {one.name: "promoted"})
    assert rotation.usable(two.name)


def test_without_pg_monitor_a_cut_off_replica_is_found_too(scalekit_servers, reasons):
    primary = scalekit_servers.postgres("primary")
    one = scalekit_servers.postgres_replica(primary, "replica_1")
    primary.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    one.catch_up()
    with cluster(primary, [one], USER="plain", PASSWORD="plain"):
        watch()
        assert not monitor.sight_of(one.name).observed.exact
        one.configure(primary_conninfo="host=127.0.0.1 port=1 user=postgres")
        assert until(out(one.name)) < DETECTED
        until(lambda: reasons == {one.name: "cut off"})


def test_a_server_that_is_slow_beside_the_others_is_out(watched, reasons, monkeypatch):
    from scalekit.db.monitor import watching

    monkeypatch.setattr(watching, "slowest", lambda took: {"replica_1"})
    until(out("replica_1"), 3.5)
    until(lambda: reasons == {"replica_1": "slow"})
    monkeypatch.setattr(watching, "slowest", lambda took: set())
    until(back("replica_1"))


def test_stopping_closes_the_connections_and_ends_the_thread(replicated, postgres_primary):
    watch()
    threads = [t for t in threading.enumerate() if t.name == "scalekit-db-monitor"]
    assert len(threads) == 1
    assert postgres_primary.value(MONITORS) == 1
    monitor.stop()
    assert not threads[0].is_alive()
    until(lambda: postgres_primary.value(MONITORS) == 0)
    assert not monitor.sights


def test_many_rounds_use_one_connection_a_server(watched, postgres_primary, settings):
    settings.SCALEKIT_DB_PROBE_SECONDS = 0.05
    time.sleep(2)
    for server in (postgres_primary, *watched):
        assert server.value(MONITORS) == 1
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scalekit monitor'"
    watched[0].execute(cut)
    time.sleep(0.5)
    assert watched[0].value(MONITORS) == 1
    assert rotation.usable("replica_1")


def test_the_monitor_holds_no_connection_of_django_s(watched):
    connections.close_all()
    time.sleep(1.2)
    assert all(connection.connection is None for connection in connections.all())


def test_it_starts_with_the_first_routed_read_survives_a_fork_and_ends_in_silence(
    postgres_primary, postgres_replicas
):
    databases = {
        "default": postgres_primary.django_settings(),
        "replica_1": postgres_replicas[0].django_settings(SCALEKIT={"REPLICA_OF": "default"}),
    }
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-m",
        "tests.integration.db.watched_process",
    ]
    # A fork beside a thread is what gunicorn does to a site that queried before --preload.
    command[5:5] = ["-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run(
        [*command, json.dumps(databases)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "outside requests 0",
        "after a request's read 1",
        "sees True",
        "child at first 0 {}",
        "child after a read 1 True",
        "parent goes on True",
        "connections 1",
        "a command that asks for a replica 1",
    ]


def test_the_grant_that_the_monitor_wants_is_a_check(postgres_primary, postgres_replicas):
    from scalekit.db.checks import check_servers

    postgres_primary.execute("CREATE ROLE unseeing LOGIN PASSWORD 'x'")
    postgres_replicas[0].catch_up()

    def found():
        return [message.id for message in check_servers(databases=["default", "replica_1"])]

    with cluster(postgres_primary, postgres_replicas[:1]):
        assert found() == []
        connections["replica_1"].close()
        connections["replica_1"].settings_dict.update(USER="unseeing", PASSWORD="x")
        assert found() == ["scalekit.db.W004"]
        postgres_primary.execute("GRANT pg_monitor TO unseeing")
        postgres_replicas[0].catch_up()
        assert found() == []
        connections.close_all()
    postgres_primary.execute("DROP ROLE unseeing")


def test_pools_that_may_open_more_than_the_server_allows_are_found(
    postgres_primary, postgres_replicas, monkeypatch
):
    from scalekit.db.checks import check_servers

    monkeypatch.setenv("WEB_CONCURRENCY", "8")
    pool = {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 20}}}
    with cluster(postgres_primary, postgres_replicas[:1], **pool):
        found = check_servers(databases=["default", "replica_1"])
        assert [message.id for message in found] == ["scalekit.db.W005"]
        assert "168 connections" in found[0].msg


def test_a_frozen_replica_costs_reads_under_way_seconds_and_no_later_one(fragile):
    _, (one, two) = fragile
    customers().create(name="Ann")
    for server in (one, two):
        server.catch_up()
    until(lambda: rotation.usable(one.name) and rotation.usable(two.name))
    with one.frozen(), calling(threads=5, rate=10) as tally:
        until(out(one.name), DETECTED)
        time.sleep(4)
    assert tally.failures == []
    assert len(tally.seconds) > 100
    assert sum(seconds > 0.5 for seconds in tally.seconds) <= 5  # the one of each thread
    assert tally.slowest < 5
