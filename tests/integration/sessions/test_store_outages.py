"""A site whose session store dies, hangs and comes back: nobody loses the login."""

from __future__ import annotations

from http import HTTPStatus
from time import monotonic

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from scalekit.sessions import SessionStoreUnavailable
from scalekit.sessions.health import SessionStoreCheck
from scalekit.sessions.redis import SessionStore

pytestmark = [
    pytest.mark.servers,
    pytest.mark.urls("tests.integration.sessions.pages"),
    pytest.mark.django_db,
]


@pytest.fixture
def server(scalekit_servers, use_store):
    server = scalekit_servers.valkey("sessions", appendonly=True)
    use_store(server, timeout=0.5)
    return server


@pytest.fixture
def visitor(server):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("ana"))
    assert client.get("/who/").content == b"ana"
    return client


def test_a_dead_store_is_503_and_the_login_survives_it(server, visitor):
    server.kill()
    response = visitor.get("/who/")
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response["Retry-After"]
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies
    server.start()
    assert visitor.get("/who/").content == b"ana"


def test_a_frozen_store_is_503_after_one_time_out(server, visitor):
    with server.frozen():
        started = monotonic()
        response = visitor.get("/who/")
        took = monotonic() - started
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert took < 1.0
    assert visitor.get("/who/").content == b"ana"


def test_pages_without_session_are_served(server, visitor):
    server.kill()
    response = visitor.get("/public/")
    assert (response.status_code, response.content) == (HTTPStatus.OK, b"hello")
    assert not response.cookies


def test_a_store_that_dies_between_load_and_save(server, visitor):
    session = SessionStore(visitor.cookies["sessionid"].value)
    session["a"] = 1
    server.kill()
    with pytest.raises(SessionStoreUnavailable):
        session.save()
    server.start()
    assert SessionStore(session.session_key).get("a") is None


def test_a_long_lived_session_asks_again(server, visitor, monkeypatch):
    monkeypatch.setattr("scalekit.sessions.session.RETRY_AFTER", 0)
    session = SessionStore(visitor.cookies["sessionid"].value)
    server.kill()
    with pytest.raises(SessionStoreUnavailable):
        session.load()
    server.start()
    assert session["_auth_user_id"]


def test_counting_goes_on_where_it_was(server, visitor):
    assert [visitor.get("/count/").content for _ in range(2)] == [b"1", b"2"]
    server.kill()
    assert visitor.get("/count/").status_code == HTTPStatus.SERVICE_UNAVAILABLE
    server.start()
    assert visitor.get("/count/").content == b"3"


def test_a_restarted_store_costs_no_request(server, visitor):
    server.restart()
    assert visitor.get("/who/").content == b"ana"


def test_a_read_only_store_still_knows_its_visitors(server, visitor, use_store):
    client = use_store(server)
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    client.config_set("replica-serve-stale-data", "yes")
    assert visitor.get("/who/").content == b"ana"
    response = visitor.get("/count/")
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert not response.cookies
    client.execute_command("REPLICAOF", "NO", "ONE")
    assert visitor.get("/count/").content == b"1"


def test_a_store_that_lost_everything_makes_a_visitor_anonymous(server, visitor):
    server.flush()
    assert visitor.get("/count/").content == b"1"
    assert visitor.get("/who/").content == b""


def test_a_logout_that_the_store_did_not_hear_of_says_so(server, visitor):
    server.kill()
    response = visitor.get("/leave/")
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert not response.cookies


def test_a_store_that_hangs_is_left_alone_for_a_while(server, visitor, settings):
    settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 30
    with server.frozen():
        statuses = [visitor.get("/who/").status_code for _ in range(2)]
        started = monotonic()
        statuses += [visitor.get("/who/").status_code for _ in range(20)]
        assert monotonic() - started < 20 * 0.5
    assert set(statuses) == {HTTPStatus.SERVICE_UNAVAILABLE}


def test_health_tells(server):
    SessionStoreCheck().run()
    server.kill()
    with pytest.raises(SessionStoreUnavailable):
        SessionStoreCheck().run()


@pytest.mark.django_db(transaction=True)
def test_under_asgi(server):
    from asgiref.sync import async_to_sync

    async def visits():
        client = AsyncClient(raise_request_exception=False)
        await client.aforce_login(await User.objects.acreate_user("ben"))
        first = await client.get("/count/")
        server.kill()
        gone = await client.get("/count/")
        server.start()
        again = await client.get("/count/")
        return first.content, gone.status_code, again.content

    assert async_to_sync(visits)() == (b"1", HTTPStatus.SERVICE_UNAVAILABLE, b"2")
