from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO

import pytest
from django import VERSION
from django.core.management import CommandError, call_command
from django.test import Client
from django.test.utils import CaptureQueriesContext

from scalekit.health import middleware, probing
from scalekit.health.base import Check
from scalekit.health.checks import check_drain_file
from scalekit.health.probing import Prober
from scalekit.testing.fakes import captured_events
from tests.core.serving import answer_asgi, counted_hops, serve_asgi, serve_wsgi

HEALTH = "scalekit.health.middleware.HealthMiddleware"
both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


class Scripted(Check):
    """A check that does what the test says."""

    def __init__(self, name="database", *, critical=True, timeout=1.0):
        self.name, self.critical, self.timeout = name, critical, timeout
        self.error, self.runs, self.wait = None, 0, True
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def run(self):
        self.runs += 1
        self.begun.set()
        if self.wait:
            self.go_on.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def checks(monkeypatch, settings):
    """Give the list of checks that the probes of this test run."""
    settings.MIDDLEWARE = [
        HEALTH,
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.DEBUG = False
    settings.SCALEKIT_HEALTH_CACHE = 0
    found = []
    monkeypatch.setattr(middleware, "prober", Prober(lambda: list(found)))
    yield found
    for check in found:
        check.go_on.set()


def said(reply):
    return reply.status, json.loads(reply.body)


@both
def test_livez_touches_nothing(serve, checks, settings, django_assert_num_queries):
    checks.append(Scripted())
    settings.SECURE_SSL_REDIRECT = True
    reply = serve("/livez", headers={"host": "10.0.0.7", "cookie": "sessionid=x"})
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in reply.headers
    assert checks[0].runs == 0


@both
def test_readyz_by_ip_address_and_without_tls(serve, checks, settings):
    settings.SECURE_SSL_REDIRECT = True
    checks.append(Scripted())
    reply = serve("/readyz", headers={"host": "10.0.0.7"})
    assert said(reply) == (200, {"status": "ready"})
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "statuses"),  # when all is well, when something critical fails, in a drain
    [
        ("/livez", [200, 200, 200]),
        ("/healthz", [200, 200, 200]),
        ("/__lbheartbeat__", [200, 200, 503]),
        ("/readyz", [200, 503, 503]),
        ("/__heartbeat__", [200, 503, 503]),
        ("/startupz", [200, 200, 200]),
        ("/version", [200, 200, 200]),
        ("/__version__", [200, 200, 200]),
    ],
)
def test_every_path_by_what_has_happened(checks, settings, tmp_path, path, statuses):
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "drain")
    settings.SECURE_SSL_REDIRECT = True
    checks.append(Scripted())
    found = []
    for error in (None, OSError()):
        checks[0].error = error
        found.append(serve_wsgi(path, headers={"host": "10.0.0.7"}).status)
    checks[0].error = None
    call_command("drain")
    found.append(serve_wsgi(path, headers={"host": "10.0.0.7"}).status)
    assert found == statuses


@both
def test_critical_failure_is_503_and_a_stranger_learns_no_more(serve, checks):
    checks += [Scripted("database"), Scripted("cache")]
    checks[0].error = OSError("postgresql://app:secret@10.0.0.5 refused")
    reply = serve("/readyz")
    assert said(reply) == (503, {"status": "not ready"})
    assert reply.headers["Retry-After"] == "2"


@both
def test_failure_that_is_not_critical_only_degrades(serve, checks):
    checks.append(Scripted("cache", critical=False))
    checks[0].error = OSError()
    assert said(serve("/readyz")) == (200, {"status": "degraded"})


INSIDE = {"SCALEKIT_HEALTH_NETWORKS": ["127.0.0.0/8"]}
TOKEN = {"SCALEKIT_HEALTH_TOKEN": "only for us"}
PROXY = {"SCALEKIT_TRUSTED_PROXIES": ["127.0.0.1"], "SCALEKIT_HEALTH_NETWORKS": ["10.0.0.0/8"]}


@pytest.mark.parametrize(
    ("changed", "headers", "told"),
    [
        ({}, {}, False),
        ({"DEBUG": True}, {}, True),
        (INSIDE, {}, True),
        (INSIDE, {"x-forwarded-for": "1.2.3.4"}, False),
        (INSIDE, {"forwarded": "for=127.0.0.1"}, False),
        ({"SCALEKIT_HEALTH_NETWORKS": ["10.0.0.0/8"]}, {}, False),
        (PROXY, {"x-forwarded-for": "10.0.0.7"}, True),
        (PROXY, {"x-forwarded-for": "10.0.0.7, 1.2.3.4"}, False),
        (TOKEN, {"authorization": "Bearer only for us"}, True),
        (TOKEN, {"authorization": "bearer  only for us"}, True),
        (TOKEN, {"authorization": "Bearer only for u"}, False),
        (TOKEN, {"authorization": "Basic only for us"}, False),
        (TOKEN, {"authorization": "Bearer \u00fc"}, False),
        ({"SCALEKIT_HEALTH_TOKEN": ""}, {"authorization": "Bearer "}, False),
    ],
)
def test_names_and_reasons_are_for_those_who_may_know(checks, settings, changed, headers, told):
    for name, value in changed.items():
        setattr(settings, name, value)
    checks += [Scripted("database"), Scripted("cache")]
    checks[0].error = OSError("refused")
    body = json.loads(serve_wsgi("/readyz", headers=headers).body)
    assert body.get("errors") == ({"database": "OSError: refused"} if told else None)
    assert body.get("checks") == ({"database": "failed", "cache": "ok"} if told else None)
    assert set(body.get("seconds", {})) == ({"database", "cache"} if told else set())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/version"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("PUT", 405)])
def test_probes_are_asked_with_get_and_head(checks, path, method, status):
    assert serve_wsgi(path, method=method).status == status


def test_other_pages_go_on_to_the_site(checks):
    assert serve_wsgi("/hello").body == b"hello"
    assert serve_asgi("/hello").body == b"hello"
    assert serve_wsgi("/readyz/").status == 404


@both
def test_hung_check_is_503_within_the_budget(serve, checks, settings):
    checks += [Scripted("hung"), Scripted("also hung"), Scripted("well")]
    checks[0].go_on.clear()
    checks[1].go_on.clear()
    settings.SCALEKIT_HEALTH_NETWORKS = ["127.0.0.0/8"]
    started = time.perf_counter()
    status, body = said(serve("/readyz"))
    assert (
        time.perf_counter() - started < 10
    )  # they hang for 30; the promise is timed on a real server
    assert status == 503
    assert body["checks"] == {"hung": "failed", "also hung": "failed", "well": "ok"}


def test_hung_check_costs_one_thread_however_often_it_is_asked_for(checks, settings):
    settings.SCALEKIT_HEALTH_BUDGET = 0.05
    checks.append(Scripted("hung"))
    checks[0].go_on.clear()
    for _ in range(10):
        assert serve_wsgi("/readyz").status == 503
    assert checks[0].runs == 1
    assert sum(thread.name == "health: hung" for thread in threading.enumerate()) == 1
    checks[0].go_on.set()
    _eventually(lambda: serve_wsgi("/readyz").status == 200)


def test_check_that_hangs_for_ever_is_tried_ever_again_in_few_threads(
    checks, settings, monkeypatch
):
    settings.SCALEKIT_HEALTH_BUDGET = 0.05
    now = 0.0
    monkeypatch.setattr(probing, "monotonic", lambda: now)
    checks.append(Scripted("hung"))
    checks[0].go_on.clear()
    for _ in range(40):
        assert serve_wsgi("/readyz").status == 503
        now += probing.GIVE_UP
    assert checks[0].runs == 8  # in ten minutes
    checks[0].wait = False
    now += 600
    assert serve_wsgi("/readyz").status == 200


def test_server_that_is_back_is_believed_though_an_old_connection_still_hangs(
    checks, settings, monkeypatch
):
    settings.SCALEKIT_HEALTH_BUDGET = 0.05
    monkeypatch.setattr(probing, "GIVE_UP", 0)
    checks.append(Scripted("database"))
    checks[0].go_on.clear()
    assert serve_wsgi("/readyz").status == 503
    checks[0].wait = False
    assert serve_wsgi("/readyz").status == 200


def test_a_checks_own_timeout_is_kept(checks, settings):
    settings.SCALEKIT_HEALTH_BUDGET = 25.0
    checks.append(Scripted("hung", timeout=0.05))
    checks[0].go_on.clear()
    started = time.perf_counter()
    assert serve_wsgi("/readyz").status == 503
    assert time.perf_counter() - started < 10


def test_checks_run_side_by_side(checks, settings):
    settings.SCALEKIT_HEALTH_BUDGET = 20.0
    barrier = threading.Barrier(3, timeout=15)
    for name in "abc":
        checks.append(Scripted(name, timeout=20.0))
        checks[-1].run = barrier.wait
    assert serve_wsgi("/readyz").status == 200


def test_all_who_ask_at_once_share_one_probe(checks, settings):
    settings.SCALEKIT_HEALTH_CACHE = 60
    checks.append(Scripted())
    checks[0].go_on.clear()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(serve_wsgi, "/readyz") for _ in range(20)]
        _eventually(lambda: checks[0].runs == 1)
        checks[0].go_on.set()
        assert {reply.result().status for reply in asked} == {200}
    assert checks[0].runs == 1


def test_the_result_is_kept_for_a_while(checks, settings):
    settings.SCALEKIT_HEALTH_CACHE = 60
    checks.append(Scripted())
    assert [serve_wsgi("/readyz").status for _ in range(3)] == [200] * 3
    assert checks[0].runs == 1


def test_a_slow_probe_does_not_hold_up_the_loop(checks, settings):
    settings.SCALEKIT_HEALTH_BUDGET = 20.0
    checks.append(Scripted("slow", timeout=20.0))
    checks[0].go_on.clear()

    async def ask_both():
        probe = asyncio.create_task(answer_asgi("/readyz"))
        await asyncio.to_thread(checks[0].begun.wait, 15)
        page = await answer_asgi("/async-hello")
        was_done = probe.done()
        checks[0].go_on.set()
        return page.status, was_done, (await probe).status

    assert asyncio.run(ask_both()) == (200, False, 200)


def test_one_who_stops_waiting_cancels_no_probe(checks):
    checks.append(Scripted())
    checks[0].go_on.clear()

    async def impatient():
        patient = asyncio.create_task(answer_asgi("/readyz"))
        await answer_asgi("/readyz", chunks=0)
        checks[0].go_on.set()
        return await patient

    assert asyncio.run(impatient()).status == 200


@pytest.mark.parametrize("path", ["/async-hello", "/hello"])
def test_ordinary_requests_cost_no_thread_hop(checks, settings, monkeypatch, path):
    settings.MIDDLEWARE = []
    with counted_hops(monkeypatch) as bare:
        serve_asgi(path)
    settings.MIDDLEWARE = [HEALTH]
    with counted_hops(monkeypatch) as probed:
        serve_asgi(path)
    assert len(probed) - len(bare) == 0


@both
def test_checks_that_cannot_be_found_are_not_ready(serve, checks, monkeypatch, caplog):
    def breaks():
        raise RuntimeError("broken discovery")

    monkeypatch.setattr(middleware, "prober", Prober(breaks))
    assert said(serve("/readyz")) == (503, {"status": "not ready"})
    assert "broken discovery" in caplog.text


def test_no_thread_to_be_had_is_not_ready(checks, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert serve_wsgi("/readyz").status == 503
    assert serve_wsgi("/readyz").status == 200


def test_exit_inside_a_check_is_a_failure(checks):
    checks.append(Scripted())
    checks[0].error = SystemExit()
    assert serve_wsgi("/readyz").status == 503


def test_changes_are_announced_once(checks):
    check = Scripted()
    checks.append(check)
    with captured_events() as events:
        for error in (None, OSError("gone"), OSError("gone"), None):
            check.error = error
            serve_wsgi("/readyz")
            _eventually(lambda: len(events.named("health_check_finished")) == check.runs)
        _eventually(lambda: events.named("health_check_recovered"))
    assert len(events.named("health_check_failed")) == 1
    outcomes = [payload["outcome"] for payload in events.named("health_check_finished")]
    assert outcomes == ["ok", "failed", "failed", "ok"]


@both
def test_draining_server_is_not_ready_and_goes_on_serving(serve, checks, settings, tmp_path):
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "drain")
    assert serve("/readyz").status == 200
    call_command("drain")
    assert said(serve("/readyz")) == (503, {"status": "draining"})
    assert serve("/livez").status == 200
    assert serve("/hello").status == 200
    call_command("drain", undo=True)
    assert serve("/readyz").status == 200


@both
def test_a_drain_that_begins_while_the_checks_run_is_heard(serve, checks, settings, tmp_path):
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "drain")
    checks.append(Scripted())
    checks[0].run = (tmp_path / "drain").touch
    assert said(serve("/readyz")) == (503, {"status": "draining"})


@both
def test_a_probe_that_fails_is_no_error_of_the_site_and_mails_nobody(
    serve, checks, settings, tmp_path, caplog, mailoutbox
):
    settings.ADMINS = (
        [("Admin", "admin@example.org")] if VERSION < (6, 0) else ["admin@example.org"]
    )
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "drain")
    call_command("drain")
    assert [serve(path).status for path in ("/readyz", "/__lbheartbeat__")] == [503, 503]
    call_command("drain", undo=True)
    checks.append(Scripted())
    checks[0].error = OSError("gone")
    assert serve("/readyz").status == 503
    assert "django.request" not in {record.name for record in caplog.records}
    assert mailoutbox == []


@both
@pytest.mark.parametrize("file", ["x" * 5000, ["x"]], ids=["unreadable", "invalid"])
def test_drain_file_that_cannot_be_looked_for_is_not_ready(serve, checks, settings, caplog, file):
    settings.SCALEKIT_HEALTH_DRAIN_FILE = file
    assert said(serve("/readyz")) == (503, {"status": "not ready"})
    assert serve("/livez").status == 200
    assert "/readyz could not be answered" in caplog.text


def test_drain_folder_that_may_not_be_entered_is_not_ready(checks, settings, tmp_path):
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "drain")
    with closed(tmp_path):
        reply, found = serve_wsgi("/readyz"), check_drain_file()
    assert said(reply) == (503, {"status": "not ready"})
    assert [message.id for message in found] == ["scalekit.health.W002"]


@contextmanager
def closed(folder):
    """Let nobody enter the folder for a while, and be no superuser, who may enter any."""
    user, mode = os.geteuid(), folder.stat().st_mode
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)


@pytest.mark.parametrize(
    ("file", "found"),
    [("", 0), ("drain", 0), ("missing/drain", 1), ("file/drain", 1), (["invalid"], 0)],
)
def test_drain_folder_should_be_there(settings, tmp_path, monkeypatch, file, found):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    settings.SCALEKIT_HEALTH_DRAIN_FILE = file
    assert [message.id for message in check_drain_file()] == ["scalekit.health.W002"] * found


def test_drain_says_what_it_needs(checks, settings, tmp_path):
    with pytest.raises(CommandError, match="SCALEKIT_HEALTH_DRAIN_FILE"):
        call_command("drain", stdout=StringIO())
    settings.SCALEKIT_HEALTH_DRAIN_FILE = str(tmp_path / "no" / "such" / "folder")
    with pytest.raises(CommandError, match="No such file"):
        call_command("drain", stdout=StringIO())


def test_a_probe_makes_no_query_of_its_own(checks, db):
    from django.db import connection

    with CaptureQueriesContext(connection) as captured:
        assert Client().get("/readyz").status_code == 200
    assert len(captured) == 0


def test_forked_process_starts_anew(checks):
    prober = Prober(list)
    assert prober.report().result(2).ready
    prober.forget()
    assert prober.report().result(2).ready


def _eventually(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
