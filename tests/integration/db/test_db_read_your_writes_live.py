from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.test import Client

pytestmark = pytest.mark.servers


@pytest.fixture
def paused(replicated):
    """Both replicas hear of writes and show none of them."""
    with ExitStack() as stack:
        for server in replicated:
            stack.enter_context(server.replay_paused())
        yield


def visitor_of_two_servers():
    """Return two web servers in front of one visitor's cookies."""
    one, other = Client(), Client()
    other.cookies = one.cookies
    return one, other


def names(client, **headers):
    return client.get("/names", headers=headers).json()["names"]


def test_a_write_is_read_back_at_once_on_any_web_server(paused):
    stale = 0
    for i in range(50):
        one, other = visitor_of_two_servers()
        assert one.get(f"/write/visitor-{i}").content == b"1"
        stale += f"visitor-{i}" not in names(other)
    assert stale == 0


def test_other_visitors_read_from_replicas(paused):
    one, _ = visitor_of_two_servers()
    one.get("/write/Ann")
    stranger = Client().get("/names").json()
    assert stranger["from"].startswith("replica_")
    assert stranger["names"] == []


def test_an_api_client_that_echoes_the_header_reads_its_writes(paused):
    token = Client().get("/write/Ann").headers["X-Consistency-Token"]
    assert names(Client(), **{"X-Consistency-Token": token}) == ["Ann"]


def test_a_rolled_back_write_pins_nothing(paused):
    client = Client()
    response = client.get("/take-back/Ann")
    assert response.cookies == {}
    assert client.get("/names").json()["from"].startswith("replica_")


def test_a_login_holds_on_the_next_web_server(paused):
    one, other = visitor_of_two_servers()
    one.get("/log-in")
    assert other.get("/who").content == b"Ann"
    assert other.get("/who").cookies == {}


def test_reading_sets_nothing(replicated):
    response = Client().get("/names")
    assert response.cookies == {}
    assert "Vary" not in response.headers
    assert "X-Consistency-Token" not in response.headers


def test_a_tampered_cookie_is_ignored(paused):
    client = Client()
    client.get("/write/Ann")
    client.cookies["scalekit_pin"] = client.cookies["scalekit_pin"].value + "x"
    response = client.get("/names")
    assert response.status_code == 200
    assert response.json()["from"].startswith("replica_")
