"""What the samples' load balancers do to a request: who asks, by which id, and on which server."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys

import pytest

from tests.integration.health.fleet import (
    HOST,
    KINDS,
    ROOT,
    HAProxy,
    NginxFree,
    Web,
    ask,
    databases,
)

pytestmark = pytest.mark.servers
FORGED = [
    ("X-Forwarded-For", "1.1.1.1"),
    ("X-Forwarded-For", "10.0.0.1, 127.0.0.1"),
    ("Forwarded", "for=1.1.1.1"),
    ("X-Real-IP", "1.1.1.1"),
]


@pytest.fixture(scope="module")
def balancers(scalekit_topology):
    """Start both load balancers in front of the same two servers, with a session table."""
    entry = databases(scalekit_topology.postgres("health_sessions"))
    webs = [Web(scalekit_topology, f"health_web_{n}", DATABASES=entry) for n in (1, 2)]
    environment = {**os.environ, **webs[0].environment}
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=60)
    return {
        "haproxy": HAProxy(scalekit_topology, webs),
        "nginx": NginxFree(scalekit_topology, webs),
    }


@pytest.fixture(params=["haproxy", "nginx"])
def port(request, balancers):
    return balancers[request.param].port


def told(port, *headers):
    """Return what a view is told; headers may be sent twice."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest("GET", "/told", skip_host=True)
        for name, value in [*HOST.items(), *headers]:
            connection.putheader(name, value)
        connection.endheaders()
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize("forged", [*([header] for header in FORGED), FORGED])
def test_a_visitor_cannot_choose_an_address(port, forged):
    # The visitor stands on a machine that is a proxy of ours too: what the load balancer saw is all there is.
    assert told(port, *forged)["ip"] == "127.0.0.1"


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_header_that_came_twice_the_last_value_counts(scalekit_servers, kind):
    web = Web(scalekit_servers, "web", kind)
    twice = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "2001:db8::7")]
    assert told(web.port, *twice)["ip"] == "2001:db8::7"


@pytest.mark.parametrize("sent", ["a" * 10_240, "spaced out", "quote'", "", "\u00e4".encode()])
def test_a_request_id_that_is_not_well_formed_is_replaced(port, sent):
    try:
        found = told(port, ("X-Request-ID", sent))["id"]
    except json.JSONDecodeError:  # refused for its size, which is as good
        return
    assert found not in (sent, "")
    assert re.fullmatch(r"[A-Za-z0-9._@-]{1,128}", found)


def test_a_request_id_that_is_well_formed_is_kept(port):
    assert told(port, ("X-Request-ID", "edge-7.f@00"))["id"] == "edge-7.f@00"


def test_any_server_answers_any_visitor(port):
    cookie, servers, counts = "", set(), []
    for _ in range(10):
        status, body, headers = ask(port, "/count", **({"Cookie": cookie} if cookie else {}))
        assert status == 200
        assert headers.get("Set-Cookie", "sessionid=").startswith(
            "sessionid="
        )  # of no load balancer
        cookie = headers.get("Set-Cookie", cookie).partition(";")[0]
        servers.add(json.loads(body)["server"])
        counts.append(json.loads(body)["count"])
    assert servers == {"health_web_1", "health_web_2"}
    assert counts == list(range(1, 11))
