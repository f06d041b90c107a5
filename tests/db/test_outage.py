from __future__ import annotations

import threading

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory, override_settings

from scalekit.core.context import unit_of_work
from scalekit.db.events import PRIMARY_DOWN, PRIMARY_UP
from scalekit.db.exceptions import PrimaryDown
from scalekit.db.outage import state
from scalekit.db.outage.context_processors import read_only
from scalekit.db.outage.facts import LOST
from scalekit.db.outage.middleware import ReadOnlyMode
from scalekit.db.outage.state import Outages


@pytest.fixture
def watched():
    return []


@pytest.fixture
def outages(clock, watched, monkeypatch):
    made = Outages(clock, watch=lambda alias, over: watched.append((alias, over)))
    monkeypatch.setattr(state, "outages", made)
    return made


@pytest.fixture
def announced():
    heard = []
    ends = [
        e.subscribe(lambda e, p: heard.append((e.name, p["alias"])))
        for e in (PRIMARY_DOWN, PRIMARY_UP)
    ]
    yield heard
    for end in ends:
        end()


def test_an_outage_is_announced_and_watched_once(outages, watched, announced):
    for _ in range(3):
        outages.down("default", OSError("refused"))
    assert [alias for alias, _ in watched] == ["default"]
    outages.up("default")
    outages.up("default")
    assert announced == [("db_primary_down", "default"), ("db_primary_up", "default")]


def test_who_needs_the_primary_is_refused_once_the_outage_is_old(outages, clock):
    outages.admit("default")
    outages.down("default", OSError("refused"))
    clock.now += 1
    with pytest.raises(PrimaryDown, match="refused"):
        outages.admit("default")
    outages.admit("other")
    outages.up("default")
    outages.admit("default")


@override_settings(SCALEKIT_DB_FAILOVER_WAIT=30)
def test_who_waits_goes_on_when_the_primary_is_back(outages):
    outages.down("default", OSError())
    waiting = threading.Thread(target=outages.admit, args=["default"])
    waiting.start()
    outages.up("default")
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_forked_child_knows_of_no_outage(outages, watched):
    outages.down("default", OSError())
    over = watched[0][1]
    assert outages.is_current("default", over)
    with over._cond:  # as a thread of the parent may hold it
        outages.forget()
    assert not outages.is_down("default")
    assert not outages.is_current("default", over)  # so whoever watches it stops


def test_an_outage_that_nobody_can_watch_is_none(clock, announced):
    def no_threads(alias, over):
        raise RuntimeError("can't start new thread")

    outages = Outages(clock, watch=no_threads)
    outages.down("default", OSError("refused"))
    assert not outages.is_down("default")
    assert announced == [("db_primary_down", "default"), ("db_primary_up", "default")]


def answer(view):
    middleware = ReadOnlyMode(view)
    return middleware(RequestFactory().get("/"))


def losing(status):
    def view(request):
        LOST.set("default")
        return HttpResponse("oops", status=status)

    return view


@pytest.mark.parametrize("status", [400, 500])
def test_what_fails_for_want_of_the_primary_is_asked_to_come_back(status):
    response = answer(losing(status))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("status", [200, 302, 404, 502])
def test_who_coped_with_it_keeps_the_answer(status):
    assert answer(losing(status)).status_code == status


def test_other_errors_stay_what_they_are():
    assert answer(lambda request: HttpResponse(status=500)).status_code == 500


def test_a_bug_stays_a_bug_during_an_outage():
    middleware = ReadOnlyMode(losing(500))
    request = RequestFactory().get("/")
    with unit_of_work():
        LOST.set("default")
        assert middleware.process_exception(request, ZeroDivisionError()) is None
        assert middleware.process_exception(request, OperationalError()).status_code == 503
    assert middleware(request).status_code == 500


def test_async_sites_too():
    from asgiref.sync import async_to_sync

    async def view(request):
        LOST.set("default")
        return HttpResponse(status=500)

    response = async_to_sync(ReadOnlyMode(view))(RequestFactory().get("/"))
    assert response.status_code == 503


def test_views_and_templates_can_tell(outages):
    seen = []

    def view(request):
        page = engines["django"].from_string("{% if read_only %}look only{% endif %}")
        seen.append((request.read_only, page.render(read_only(request))))
        return HttpResponse()

    answer(view)
    outages.down("default", OSError())
    answer(view)
    assert seen == [(False, ""), (True, "look only")]


def test_the_project_s_own_page_is_shown(settings):
    loader = (
        "django.template.loaders.locmem.Loader",
        {"503.html": "<h1>Back soon{{ read_only }}</h1>"},
    )
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [loader]},
        }
    ]
    response = answer(losing(500))
    assert response.content == b"<h1>Back soonTrue</h1>"
    assert response.headers["Content-Type"].startswith("text/html")
