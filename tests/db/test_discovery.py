from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import discoveries
from scalekit.db.discovery.patroni import Patroni
from scalekit.db.exceptions import PrimaryDown

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def answering(body, asked=None):
    """A Patroni that always says `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if asked is not None:
                asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def member(host, role, state="streaming", **more):
    return {"name": host, "host": host, "port": 5433, "role": role, "state": state, **more}


def test_the_leader_is_named_and_replicas_are_judged():
    cluster = [
        member("pg-1", "leader", "running"),
        member("pg-2", "replica"),
        member("pg-3", "replica", "in archive recovery"),
        member("pg-4", "replica", tags={"noloadbalance": True}),
        {"name": "pg-5", "role": "replica", "state": "starting"},
    ]
    with answering({"members": cluster}) as url:
        found = Patroni("default", urls=[NOWHERE, url])
        assert found.primary() == ("pg-1", "5433")
        fit = [found.is_fit((f"pg-{i}", "5433")) for i in (1, 2, 3, 4, 9)]
    assert fit == [True, True, False, False, True]


def test_without_a_leader_the_primary_is_down():
    cluster = [member("pg-1", "replica"), member("pg-2", "standby_leader")]
    with answering({"members": cluster}) as url, pytest.raises(PrimaryDown, match="no leader"):
        Patroni("default", urls=[url]).primary()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"members": 7}', b'{"members": [7]}', b"\xff", b"null"]
)
def test_an_answer_of_another_kind_is_none(body):
    with answering(body) as url:
        found = Patroni("default", urls=[url])
        assert found.primary() is None
        assert found.is_fit(("pg-1", "5433"))


def test_what_was_known_stays_while_nobody_answers():
    with answering({"members": [member("pg-1", "leader")]}) as url:
        found = Patroni("default", urls=[url], keep=0)
        assert found.primary() == ("pg-1", "5433")
    assert found.primary() == ("pg-1", "5433")


def test_an_answer_is_kept_for_a_while():
    asked = []
    with answering({"members": [member("pg-1", "leader")]}, asked) as url:
        found = Patroni("default", urls=[f"{url}/"], keep=60)
        for _ in range(5):
            found.primary()
    assert asked == ["/cluster"]


@pytest.mark.parametrize(
    "options", [{}, {"urls": []}, {"urls": "http://pg"}, {"urls": ["file:///x"]}]
)
def test_wrong_options_are_refused(settings, options):
    path = "scalekit.db.discovery.patroni.Patroni"
    settings.SCALEKIT_DB_DISCOVERY = {"default": {"BACKEND": path, "OPTIONS": options}}
    with pytest.raises(SettingInvalid, match=r"SCALEKIT_DB_DISCOVERY\['default'\]"):
        discoveries["default"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_was_forked_while_a_thread_asked_asks_too():
    patroni = Patroni("default", urls=[NOWHERE])
    with patroni._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if patroni._lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
