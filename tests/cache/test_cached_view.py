"""`cached_view`: one page for all who may share it, and never one visitor's page for another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import view_site
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.cache import caches
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.utils.translation import override

from scalekit.cache import cached_view
from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction
from scalekit.cache.pages import Visit, apart
from scalekit.cache.visitors import NOTHING
from scalekit.cache.watching import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "view_site"
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:3],
        "django.middleware.locale.LocaleMiddleware",
        *settings.MIDDLEWARE[3:],
        "view_site.nonce_middleware",
    ]
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]
    view_site.runs.of.clear()
    view_site.found_again.clear()
    with override("en"):  # the middleware leaves the language of the last request
        yield


@pytest.fixture
def ana():
    return User.objects.create_user("ana", password="x")


def logged_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def twice(path: str, **headers) -> int:
    """Visit as two visitors; return how often the view ran."""
    for _ in range(2):
        Client().get(path, **headers)
    return len(view_site.runs.of)


def test_a_page_is_made_once(client):
    one, other = client.get("/front"), Client().get("/front")
    assert one.content == other.content
    assert other["X-Made-By"] == "front"
    assert "Cookie" in one["Vary"]
    assert "Cookie" in other["Vary"]
    assert len(view_site.runs.of) == 1


def test_every_address_has_its_page(client):
    client.get("/front")
    client.get("/front?a=1")
    client.get("/front", headers={"host": "other.example"})
    client.get("/front", secure=True)
    assert len(view_site.runs.of) == 4


def test_the_order_of_the_query_does_not_matter(client):
    client.get("/front?a=1&b=2&a=3")
    client.get("/front?b=2&a=1&a=3")
    assert len(view_site.runs.of) == 1
    client.get("/front?a=3&a=1&b=2")
    assert len(view_site.runs.of) == 2


def test_only_the_named_parameters_matter(client):
    client.get("/listing?page=2&utm_source=mail")
    assert client.get("/listing?page=2").content == b"listing 2 1"
    assert client.get("/listing?page=3").content == b"listing 3 2"


def test_every_language_has_its_page(client):
    german = {"accept-language": "de"}
    assert client.get("/front").content == b"front en 1"
    assert client.get("/front", headers=german).content == b"front de 2"
    assert client.get("/front", headers=german).content == b"front de 2"


def test_a_visitor_who_is_logged_in_neither_gets_nor_gives(client, ana):
    assert logged_in(ana).get("/greeting").content == b"greeting ana 1"
    assert client.get("/greeting").content == b"greeting AnonymousUser 2"
    assert logged_in(ana).get("/greeting").content == b"greeting ana 3"
    assert client.get("/greeting").content == b"greeting AnonymousUser 2"


def test_vary_gives_each_visitor_a_page_of_their_own(client, ana):
    ben = User.objects.create_user("ben", password="x")
    for _ in range(2):
        assert logged_in(ana).get("/account").content == b"account ana 1"
        assert logged_in(ben).get("/account").content == b"account ben 2"
        assert client.get("/account").content == b"account AnonymousUser 3"


def test_vary_may_be_a_cookie(client):
    for theme in ("dark", "light", "dark"):
        client.cookies["theme"] = theme
        assert client.get("/my_theme").content.split()[1] == theme.encode()
    assert len(view_site.runs.of) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sets_cookie", "set-cookie"),
        ("form", "csrf token"),
        ("late_form", "csrf token"),
        ("my_form", "csrf token"),
        ("nonce", "nonce"),
        ("basket", "session"),
        ("theme", "cookies"),
        ("themed_parts", "cookies"),
        ("tells", "messages"),
        ("stream", "stream"),
        ("never", "private"),
        ("any_vary", "vary"),
    ],
)
def test_a_page_made_for_one_visitor_is_not_kept(path, reason, heard):
    refused = heard("cache_page_refused")
    assert twice(f"/{path}") == 2
    of_page = [event for event in refused if event["function"] == f"view_site.{path}"]
    assert {event["reason"] for event in of_page} == {reason}


def test_a_page_with_fragments_is_kept():
    assert twice("/parts") == 1


def test_csrf_tokens_are_each_visitor_s_own():
    tokens = {Client().get("/form").content.split()[1] for _ in range(2)}
    assert len(tokens) == 2


def test_a_visitor_with_messages_to_read_gets_them_not_a_kept_page(client):
    client.get("/front")
    client.get("/tells")
    assert "messages" in client.cookies
    assert client.get("/front").content == b"front en 3"


def test_errors_are_not_kept():
    assert twice("/missing") == 2


@pytest.mark.django_db(transaction=True)  # a kept page is given up on commit
def test_a_page_that_works_again_is_kept_again(client):
    client.raise_request_exception = False
    client.get("/sometimes")
    client.get("/sometimes")
    view_site.found_again.append(True)
    answers = [client.get("/sometimes").content for _ in range(4)]
    assert answers == [b"sometimes  3", b"sometimes  4", b"sometimes  4", b"sometimes  4"]


def test_other_methods_run_the_view(client):
    client.get("/front")
    client.post("/front")
    client.put("/front")
    assert len(view_site.runs.of) == 3


def test_a_head_is_answered_from_the_page_and_fills_nothing(client):
    client.head("/front")
    assert client.get("/front").content == b"front en 2"
    response = client.head("/front")
    assert (response.content, response["Content-Length"]) == (b"", "10")
    assert len(view_site.runs.of) == 2


def test_what_the_page_varies_with_is_learnt(client):
    for device in ("phone", "phone", "desk", "phone", "desk"):
        response = client.get("/device", headers={"x-device": device})
        assert response.content.split()[1] == device.encode()
    # The first visit shows that it varies; then each device has its page.
    assert len(view_site.runs.of) == 3
    assert client.get("/device").content.split() == [b"device", b"4"]


def test_a_request_with_credentials_is_answered_by_the_view():
    assert twice("/front", headers={"authorization": "Token abc"}) == 2


def test_bytes_are_kept_as_they_are(client):
    assert client.get("/binary").content == client.get("/binary").content == bytes(range(256))
    assert client.get("/binary")["Content-Type"] == "image/png"
    assert len(view_site.runs.of) == 1


def test_a_host_that_is_not_ours_reaches_the_view(rf):
    runs = []
    view = cached_view()(runs.append)
    view(rf.get("/", headers={"host": "evil.example"}))
    assert len(runs) == 1


def test_visitors_who_come_at_once_share_one_run(rf):
    inside, go, runs = threading.Event(), threading.Event(), []

    @cached_view()
    def slow(request):
        runs.append(request)
        inside.set()
        assert go.wait(10)
        return view_site.answer("slow")

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(slow, rf.get("/slow"))
        assert inside.wait(10)
        others = [pool.submit(slow, rf.get("/slow")) for _ in range(4)]
        go.set()
        answers = {future.result(10).content for future in [first, *others]}
    assert len(answers) == len(runs) == 1


def test_visitors_who_wait_for_a_page_that_is_private_get_their_own(rf):
    inside, go, runs = threading.Event(), threading.Event(), []

    @cached_view()
    def slow(request):
        runs.append(request)
        inside.set()
        assert go.wait(10)
        response = view_site.answer("slow", request.META["REMOTE_ADDR"])
        response.set_cookie("for", request.META["REMOTE_ADDR"])
        return response

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(slow, rf.get("/slow", REMOTE_ADDR="10.0.0.0"))
        assert inside.wait(10)
        rest = [pool.submit(slow, rf.get("/slow", REMOTE_ADDR=f"10.0.0.{n}")) for n in (1, 2, 3)]
        go.set()
        given = [future.result(10).cookies["for"].value for future in [first, *rest]]
    assert given == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_async_views_are_kept_by_the_same_rules(ana):
    client, hers = AsyncClient(), AsyncClient()

    async def visits(client, *paths):
        return [(await client.get(path)).content for path in paths]

    async_to_sync(hers.aforce_login)(ana)
    visit = async_to_sync(visits)
    assert visit(client, "/later", "/later") == [b"later AnonymousUser 1"] * 2
    assert visit(hers, "/later") == [b"later ana 2"]
    assert visit(hers, "/later_account", "/later_account") == [b"later_account ana 3"] * 2


def test_a_cache_that_is_gone_costs_no_page(client, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("gone")

    for name in ("get", "set", "get_many", "add"):
        monkeypatch.setattr(type(caches["default"]), name, broken)
    assert client.get("/front").status_code == 200
    assert client.get("/front").status_code == 200


def test_a_nonce_that_was_made_before_the_view_is_found_in_its_page(rf):
    view = cached_view()(lambda request: view_site.answer("early", str(request._csp_nonce)))
    for _ in range(2):
        request = rf.get("/")
        request._csp_nonce = "n0nce"
        view(request)
    assert len(view_site.runs.of) == 2


def test_what_vary_returns_must_be_plain(rf):
    view = cached_view(vary=lambda request: object())(view_site.answer)
    with pytest.raises(UncacheableArgument, match=r"What vary= returned .* type builtins\.object"):
        view(rf.get("/"))


def test_vary_may_return_the_user(rf, ana):
    view = cached_view(vary=lambda request: request.user)(
        lambda request: view_site.answer("view", str(request.user))
    )
    seen = []
    for user in (ana, AnonymousUser(), ana, AnonymousUser()):
        request = rf.get("/")
        request.user = user
        seen.append(view(request).content)
    assert seen == [b"view ana 1", b"view AnonymousUser 2"] * 2


def test_the_decorator_says_how_it_is_written():
    with pytest.raises(UncacheableFunction, match="with parentheses"):
        cached_view(lambda request: None)
    with pytest.raises(UncacheableFunction, match="vary="):
        cached_view(key=lambda request: 1)
    with pytest.raises(UncacheableFunction, match="no timeout="):
        cached_view(timeout=1)


@override_settings(USE_TZ=False)
def test_sites_of_one_time_zone_are_cached_too():
    assert twice("/front") == 1


def test_a_page_made_anew_beside_its_visitor_touches_nothing_of_theirs(rf):
    request = rf.get("/")
    request.session, request.COOKIES = SessionStore("abc"), {"theme": "dark"}
    visit = Visit(request, (), {}, ("view",), waits=False)
    beside = apart(request)
    with Watch(beside, NOTHING):
        beside.session["x"] = beside.COOKIES["theme"]
        beside.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
    assert visit.is_answered
    assert not request.session.accessed
    assert "CSRF_COOKIE_NEEDS_UPDATE" not in request.META
    assert request.COOKIES == {"theme": "dark"}


def test_a_view_that_runs_in_another_thread_runs_beside_its_visitor(rf):
    visit = Visit(rf.get("/"), (), {}, ("view",))
    assert not visit.is_answered
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: visit.is_answered).result(10)
