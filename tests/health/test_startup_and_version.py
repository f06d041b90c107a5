from __future__ import annotations

import json
import threading

import pytest
from django.urls import get_resolver

from scalekit.health import middleware, releases, startup
from scalekit.health.checks import check_hidden_pages, check_version
from scalekit.health.startup import Startup
from tests.core.serving import serve_asgi, serve_wsgi

both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


@pytest.fixture
def site(probed, monkeypatch):
    monkeypatch.setattr(middleware, "startup", Startup())
    releases._read.cache_clear()
    return probed


def said(reply):
    return reply.status, json.loads(reply.body)


@both
def test_a_site_that_is_loaded_has_started(serve, site):
    assert said(serve("/startupz")) == (200, {"status": "started"})


@both
def test_a_site_that_cannot_be_loaded_has_not_started(serve, site, caplog):
    site.ROOT_URLCONF = "tests.health.no_such_module"
    assert said(serve("/startupz")) == (503, {"status": "starting"})
    assert "could not be loaded" in caplog.text
    site.ROOT_URLCONF = "tests.health.sample_site"
    assert serve("/startupz").status == 200


@both
def test_loading_that_takes_long_holds_up_neither_the_probe_nor_liveness(serve, site, monkeypatch):
    site.SCALEKIT_HEALTH_BUDGET = 0.05
    go_on, resolver = threading.Event(), get_resolver()

    def slowly():
        go_on.wait(30)
        return resolver

    monkeypatch.setattr(startup, "get_resolver", slowly)
    assert said(serve("/startupz")) == (503, {"status": "starting"})
    assert serve("/livez").status == 200
    go_on.set()
    middleware.startup.report().result(5)
    assert serve("/startupz").status == 200


def test_no_server_is_asked_whether_the_site_has_started(site, django_assert_num_queries):
    assert serve_wsgi("/startupz").status == 200  # the database is closed to this test


@both
def test_version_of_the_settings(serve, site):
    site.SCALEKIT_HEALTH_VERSION = {"version": "1.4.0", "commit": "0c2f6f1"}
    reply = serve("/version")
    assert said(reply) == (200, {"version": "1.4.0", "commit": "0c2f6f1"})
    assert reply.headers["Cache-Control"] == "no-store"


def test_version_of_a_file_is_that_of_the_process(site, tmp_path):
    file = tmp_path / "version.json"
    file.write_text('{"version": "1.4.0"}')
    site.SCALEKIT_HEALTH_VERSION = str(file)
    assert said(serve_wsgi("/version")) == (200, {"version": "1.4.0"})
    file.write_text('{"version": "1.5.0"}')
    assert said(serve_wsgi("/version")) == (200, {"version": "1.4.0"})


def test_version_that_nobody_has_set(site):
    assert said(serve_wsgi("/__version__")) == (200, {"version": "unknown"})


@pytest.mark.parametrize("content", [None, "", "[1]", "1.4.0"])
def test_version_that_cannot_be_read_is_503_and_an_error(site, tmp_path, content, caplog):
    file = tmp_path / "version.json"
    if content is not None:
        file.write_text(content)
    site.SCALEKIT_HEALTH_VERSION = str(file)
    assert serve_wsgi("/version").status == 503
    assert [message.id for message in check_version()] == ["scalekit.health.E004"]


def test_a_page_that_a_probe_hides_is_named_and_given_back(site):
    site.SCALEKIT_HEALTH_PATHS = {}
    found = check_hidden_pages()
    assert [message.id for message in found] == ["scalekit.health.W004"] * 2
    assert "/version" in found[0].msg
    site.SCALEKIT_HEALTH_PATHS = {"/version": None, "/healthz": None}
    assert check_hidden_pages() == []
    assert "ip" in json.loads(serve_wsgi("/version").body)


def test_a_probe_may_have_another_path(site):
    site.SCALEKIT_HEALTH_PATHS = {"/up": "live"}
    assert serve_wsgi("/up").body == b"ok"
    assert serve_wsgi("/livez").body == b"ok"
