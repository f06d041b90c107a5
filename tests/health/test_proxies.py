from __future__ import annotations

import json

import pytest

from scalekit.core.networks import client_of
from scalekit.testing.fakes import captured_events
from tests.core.serving import serve_asgi, serve_wsgi

both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])
BEHIND = ["127.0.0.1", "10.0.0.0/24"]  # the test's requests come from 127.0.0.1


@pytest.fixture
def site(probed):
    probed.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    return probed


def seen(serve, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.loads(serve("/told", headers=named).body)


@both
def test_without_the_setting_nothing_is_touched(serve, site):
    told = seen(
        serve, x_forwarded_for="203.0.113.7", x_forwarded_proto="https", x_request_id="mine"
    )
    assert told == {
        "ip": "127.0.0.1",
        "secure": True,
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Request-ID": "mine",
    }


@both
def test_views_meet_the_address_that_our_proxies_saw(serve, site):
    site.SCALEKIT_TRUSTED_PROXIES = BEHIND
    told = seen(serve, x_forwarded_for="1.1.1.1, 203.0.113.7, 10.0.0.5", x_real_ip="1.1.1.1")
    assert told["ip"] == "203.0.113.7"
    assert told["X-Forwarded-For"] == "203.0.113.7, 10.0.0.5"  # what the visitor made up is gone
    assert "X-Real-IP" not in told


@both
def test_our_proxies_may_tell_the_scheme_and_the_request_id(serve, site):
    site.SCALEKIT_TRUSTED_PROXIES = BEHIND
    told = seen(serve, x_forwarded_proto="https", x_request_id="from-the-edge")
    assert told == {
        "ip": "127.0.0.1",
        "secure": True,
        "X-Forwarded-Proto": "https",
        "X-Request-ID": "from-the-edge",
    }


@both
def test_of_anybody_else_nothing_is_believed(serve, site):
    site.SCALEKIT_TRUSTED_PROXIES = ["10.0.0.0/24"]
    told = seen(
        serve,
        x_forwarded_for="10.0.0.5",
        forwarded="for=10.0.0.5",
        x_forwarded_proto="https",
        x_request_id="mine",
    )
    assert told == {"ip": "127.0.0.1", "secure": False}


def test_what_is_refused_is_counted(site):
    site.SCALEKIT_TRUSTED_PROXIES = ["10.0.0.0/24"]
    with captured_events() as events:
        seen(serve_wsgi)
        seen(serve_wsgi, x_forwarded_for="10.0.0.5", x_request_id="mine")
    [refused] = events.named("health_headers_refused")
    assert refused == {
        "peer": "127.0.0.1",
        "headers": ["HTTP_X_FORWARDED_FOR", "HTTP_X_REQUEST_ID"],
    }


def test_forwarded_is_written_again_without_what_nobody_vouches_for(site):
    site.SCALEKIT_TRUSTED_PROXIES = BEHIND
    site.SCALEKIT_FORWARDED_HEADER = "Forwarded"
    told = seen(serve_wsgi, forwarded='for=1.1.1.1, for="[2001:db8::7]:80", for=10.0.0.5')
    assert told["ip"] == "2001:db8::7"
    assert told["Forwarded"] == 'for="[2001:db8::7]", for=10.0.0.5'


def test_the_peer_is_still_known_behind_the_middleware(rf, site):
    from scalekit.health.proxies import believe_proxies

    site.SCALEKIT_TRUSTED_PROXIES = BEHIND
    request = rf.get("/", headers={"x-forwarded-for": "203.0.113.7"})
    believe_proxies(request)
    believe_proxies(request)  # listed twice
    assert (client_of(request).address, client_of(request).peer) == ("203.0.113.7", "127.0.0.1")


@pytest.mark.parametrize("sent", ["two\nlines", "a" * 10_240, "", "spaced out"])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(site, sent, caplog):
    site.SCALEKIT_TRUSTED_PROXIES = BEHIND
    site.MIDDLEWARE.insert(1, "scalekit.observability.middleware.RequestMiddleware")
    reply = serve_wsgi("/told", headers={"x-request-id": sent})
    assert reply.headers["X-Request-ID"] != sent
    assert reply.headers["X-Request-ID"].isalnum()


@pytest.mark.parametrize(("trusted", "kept"), [(BEHIND, True), (["10.0.0.0/24"], False)])
def test_a_request_id_is_accepted_from_our_proxies_only(site, trusted, kept):
    site.SCALEKIT_TRUSTED_PROXIES = trusted
    site.MIDDLEWARE.insert(1, "scalekit.observability.middleware.RequestMiddleware")
    reply = serve_wsgi("/told", headers={"x-request-id": "well-formed"})
    assert (reply.headers["X-Request-ID"] == "well-formed") is kept
