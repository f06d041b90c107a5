"""Probes of a real server whose database and cache are stopped, or frozen where they stand."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import pytest

from tests.integration.health.fleet import ROOT, Web, databases

pytestmark = pytest.mark.servers
TOKEN = {"Authorization": "Bearer only for us"}
BOUND = 1.5  # seconds
CACHE = 0.2  # seconds
CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
READY = ["database default", "database replica", "cache default"]


@pytest.fixture(scope="module")
def made(scalekit_topology):
    """Make a database, what is said to be its replica, a cache, and a web server that needs them."""
    primary = scalekit_topology.postgres("health_primary")
    replica = scalekit_topology.postgres("health_replica")
    valkey = scalekit_topology.valkey("health_valkey")
    mirror = {**replica.django_settings(), "TEST": {"MIRROR": "default"}}
    entries = {"default": {**primary.django_settings(), "CONN_MAX_AGE": 60}, "replica": mirror}
    given = {"DATABASES": json.dumps(entries), "CACHE_URL": valkey.url, "SSL_REDIRECT": "1"}
    web = Web(scalekit_topology, "health_web", **given, HEALTH_CACHE=str(CACHE))
    return (primary, replica, valkey), web


@pytest.fixture
def servers(made):
    """Give the servers, which a test may kill or freeze."""
    yield made[0]
    for server in made[0]:
        if server.running:
            server.thaw()
        server.start()


@pytest.fixture
def web(made, servers):
    return made[1]


def ready(web):
    """Return the status of /readyz, its word, what failed, and how long it took."""
    started = time.perf_counter()
    status, body, _ = web.ask("/readyz", **TOKEN)
    told = json.loads(body)
    return status, told["status"], sorted(told.get("errors", {})), time.perf_counter() - started


def eventually(web, expected, seconds=30):
    deadline = time.monotonic() + seconds
    while (found := ready(web)[:3]) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def milliseconds(web, path, number=50):
    taken = []
    for _ in range(number):
        started = time.perf_counter()
        assert web.ask(path)[0] == 200
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def test_what_each_server_is_worth(web, servers):
    primary, replica, valkey = servers
    eventually(web, (200, "ready", []))
    replica.kill()
    eventually(web, (200, "degraded", ["database replica"]))
    valkey.kill()
    eventually(web, (200, "degraded", ["cache default", "database replica"]))
    primary.kill()
    eventually(web, (503, "not ready", ["cache default", "database default", "database replica"]))
    assert web.ask("/livez")[0] == 200
    for server in servers:
        server.start()
    eventually(web, (200, "ready", []))


def test_with_every_server_frozen_liveness_takes_milliseconds_and_readiness_is_bounded(
    web, servers
):
    eventually(web, (200, "ready", []))
    for server in servers:
        server.freeze()
    time.sleep(CACHE)  # until the last good answer is too old
    slowest = 0.0
    for _ in range(3):
        status, word, failed, seconds = ready(web)
        assert (status, word, failed) == (503, "not ready", sorted(READY))
        slowest = max(slowest, seconds)
        time.sleep(CACHE)
    assert slowest < BOUND
    # The promise is a few; the bound has room for a machine that does other things.
    assert milliseconds(web, "/livez") < 25
    assert milliseconds(web, "/startupz") < 25
    for server in servers:
        server.thaw()
    eventually(web, (200, "ready", []))


def test_probes_by_ip_address_and_without_tls_cost_no_session_and_no_connection(web, servers):
    for path in ("/livez", "/startupz", "/version", "/readyz", "/__heartbeat__"):
        status, _, headers = web.ask(path, Host="10.0.0.7")
        assert status == 200
        assert not {"Set-Cookie", "Location"} & set(headers)
    assert web.ask("/echo")[0] == 301  # what everybody else gets
    assert web.ask("/echo", Host="10.0.0.7")[0] == 400
    [(connections,)] = servers[0].execute(CONNECTIONS)
    assert connections == 0  # CONN_MAX_AGE would have kept any that a request has opened


def test_a_server_with_another_secret_key_is_found(scalekit_servers):
    database = databases(scalekit_servers.postgres("primary"))
    webs = [Web(scalekit_servers, f"web_{n}", DATABASES=database) for n in (1, 2)]
    assert "2 servers are alike" in compared(webs)
    odd = Web(scalekit_servers, "odd", DATABASES=database, SECRET_KEY="y" * 50)
    said = compared([*webs, odd])
    assert "secret key differs" in said
    assert "databases" not in said


def compared(webs):
    command = [sys.executable, "-m", "django", "compare_servers"]
    done = subprocess.run(
        [*command, *(f"http://{web.address}" for web in webs)],
        env={**os.environ, **webs[0].environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr
