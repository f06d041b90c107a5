from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scalekit.health.comparing import differences
from scalekit.health.fingerprints import fingerprints


def told(**changed):
    return {"version": "1.4.0", "fingerprints": {**fingerprints(), **changed}}


@pytest.fixture
def server():
    """Start a server that says what the test says."""
    running = []

    def start(body, status=200, **headers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                allowed = self.headers.get("Authorization") == "Bearer only for us"
                self.send_response(status)
                for header in headers.items():
                    self.send_header(*header)
                self.end_headers()
                content = body if allowed else {"version": "1.4.0"}
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_):
                pass

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        running.append((httpd, thread))
        return f"http://127.0.0.1:{httpd.server_port}"

    yield start
    for httpd, thread in running:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def compare(*servers, token="only for us"):
    output = StringIO()
    try:
        call_command("compare_servers", *servers, token=token, stdout=output)
    except CommandError as error:
        return f"{output.getvalue()}{error}"
    return output.getvalue()


def test_servers_that_are_alike(server):
    assert compare(server(told()), server(told())) == "2 servers are alike.\n"


def test_another_secret_key_is_seen(server):
    first, second = server(told()), server(told(**{"secret key": "0" * 16}))
    said = compare(first, second)
    assert "secret key differs" in said
    assert second in said
    assert "not alike" in said


def test_another_secret_key_is_not_taken_for_other_settings(settings):
    ours = fingerprints()
    settings.SECRET_KEY = "another"
    found = differences({"a": {"fingerprints": ours}, "b": {"fingerprints": fingerprints()}})
    assert list(found) == ["secret key"]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("SESSION_COOKIE_NAME", "sid", "cookies"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.file", "sessions"),
        ("CACHES", {"default": {"BACKEND": "x", "LOCATION": "redis://other"}}, "caches"),
        ("MIDDLEWARE", [], "applications"),
        ("TIME_ZONE", "Europe/Berlin", "time"),
    ],
)
def test_other_settings_are_seen(settings, name, value, what):
    ours = {"fingerprints": fingerprints()}
    setattr(settings, name, value)
    assert list(differences({"a": ours, "b": {"fingerprints": fingerprints()}})) == [what]


def test_another_release_is_seen():
    found = differences({"a": told(), "b": {**told(), "version": "1.5.0"}})
    assert found == {"release version": {"a": "1.4.0", "b": "1.5.0"}}


def test_a_fingerprint_gives_no_password_away(settings):
    settings.CACHES = {"default": {"BACKEND": "x", "LOCATION": "redis://:hunter2@cache"}}
    assert "hunter2" not in json.dumps(fingerprints())


def test_objects_and_order_make_no_difference(settings):
    settings.CACHES = {"default": {"BACKEND": "x", "OPTIONS": {"a": object(), "b": {1, 2}}}}
    first = fingerprints()
    settings.CACHES = {"default": {"OPTIONS": {"b": {2, 1}, "a": object()}, "BACKEND": "x"}}
    assert fingerprints() == first


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("10.0.0.11:8000", "write http://10.0.0.11:8000"),
        ("http://127.0.0.1:1", "refused"),
        ("file:///etc/passwd", "is no address"),
    ],
)
def test_a_server_that_cannot_be_asked(url, said):
    assert said in compare(url)


def test_a_server_that_does_not_know_us(server):
    assert "SCALEKIT_HEALTH_TOKEN" in compare(server(told()), token="a guess")


def test_a_server_without_the_middleware(server):
    assert "answered 404: is HealthMiddleware first" in compare(server({}, 404))


def test_the_token_is_for_the_server_alone_and_not_for_where_it_redirects_to(server):
    other = server(told())
    redirecting = server({}, 302, Location=f"{other}/version")
    assert "does not tell us" in compare(redirecting)
