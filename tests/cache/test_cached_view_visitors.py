"""`cached_view`: what is one visitor's reaches no other, by whatever way the view gets at it."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import view_site
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.clickjacking import xframe_options_exempt

from scalekit.cache import cached_view


@pytest.fixture(autouse=True)
def runs():
    view_site.runs.of.clear()


@pytest.fixture
def ana():
    return User.from_db("default", ["id", "username", "is_staff"], [7, "ana", True])


@pytest.fixture
def ben():
    return User.from_db("default", ["id", "username", "is_staff"], [9, "ben", True])


@pytest.fixture
def visit(rf):
    """Ask a view as a visitor; return the text it answers."""

    def visit(view, user=None, path="/", session=None, key="", cookies=None, **headers):
        cookie = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
        request = rf.get(path, HTTP_COOKIE=cookie, headers=headers)
        request.session = SessionStore(key or None)
        request.session._session_cache = dict(session or {})
        request.user = SimpleLazyObject(lambda: user or AnonymousUser())
        return view(request).content.decode()

    return visit


def kept(take, **options):
    """Return a cached view that shows what `take` takes from the request."""
    return cached_view(60, **options)(lambda request: HttpResponse(str(take(request))))


BY_USER = {"vary": lambda request: request.user.pk}
COOKIE_READS = [
    lambda request: request.COOKIES.get("cart"),
    lambda request: request.META.get("HTTP_COOKIE"),
    lambda request: request.environ.get("HTTP_COOKIE"),
    lambda request: request.headers.get("Cookie"),
    lambda request: repr(request.COOKIES),
    lambda request: request.COOKIES | {},
    lambda request: {**request.COOKIES},
    lambda request: copy.copy(request.COOKIES),
    lambda request: request.COOKIES.copy(),
    lambda request: list(request.COOKIES.values()),
    lambda request: request.COOKIES == {"cart": "of-ana"},
]


@pytest.mark.parametrize("options", [{}, BY_USER])
@pytest.mark.parametrize("take", COOKIE_READS)
def test_no_way_to_a_cookie_shows_it_to_others(visit, take, options):
    view = kept(take, **options)
    seen = [visit(view, cookies={"cart": f"of-{name}"}) for name in ("ana", "ben")]
    assert "of-ana" not in seen[1]
    assert "True" not in seen[1]


@pytest.mark.parametrize("options", [{}, BY_USER])
def test_no_guest_s_session_is_shown_to_others(visit, options):
    cart = kept(lambda request: request.session.get("cart"), **options)
    assert [visit(cart, session={"cart": n}) for n in "ab"] == ["a", "b"]
    key = kept(lambda request: request.session.session_key, **options)
    assert [visit(key, key=n * 8) for n in "ab"] == ["a" * 8, "b" * 8]


def test_the_cookie_header_is_there_again_after_the_view(rf):
    request = rf.get("/", HTTP_COOKIE="a=b")
    assert request.headers["Cookie"] == "a=b"
    kept(lambda request: request.headers.get("Cookie"))(request)
    assert request.META["HTTP_COOKIE"] == request.headers["Cookie"] == "a=b"


def test_the_session_s_key_names_a_guest(visit):
    view = kept(
        lambda request: request.session.get("cart"),
        vary=lambda request: request.session.session_key,
    )
    for text in ("one", "later"):
        shown = [visit(view, key=n * 8, session={"cart": n + text}) for n in "ab"]
        assert shown == ["aone", "bone"]
    assert [visit(view, session={"cart": n}) for n in "ab"] == ["a", "b"]


@pytest.mark.parametrize(
    "vary",
    [
        lambda request: request.user,
        lambda request: request.user.pk,
        lambda request: ("photo", request.user.pk),
    ],
)
def test_a_page_that_names_its_visitor_may_show_all_of_theirs(visit, ana, ben, vary):
    view = kept(lambda request: f"{request.user} {request.session.get('cart')}", vary=vary)
    assert visit(view, ana, session={"cart": 1}) == visit(view, ana, session={"cart": 2}) == "ana 1"
    assert visit(view, ben, session={"cart": 3}) == "ben 3"


@pytest.mark.parametrize(
    "take", [lambda request: request.user, lambda request: request.session["n"]]
)
def test_a_page_of_many_members_shows_none_of_them(visit, ana, ben, take):
    view = kept(take, vary=lambda request: request.user.is_staff)
    assert visit(view, ana, session={"n": "ana"}) == "ana"
    assert visit(view, ben, session={"n": "ben"}) == "ben"


def test_a_page_of_many_members_is_shared_by_them_and_not_by_guests(visit, ana, ben):
    view = kept(
        lambda request: view_site.runs.note("page"), vary=lambda request: len(request.GET) == 0
    )
    assert [visit(view, user) for user in (ana, ben, None, None)] == ["1", "1", "2", "2"]


def test_a_number_like_a_visitor_s_makes_their_page_nobody_else_s(visit, ana, ben):
    view = kept(lambda request: request.user, vary=lambda request: 7)
    assert [visit(view, user) for user in (ana, ben, None)] == ["ana", "ben", "AnonymousUser"]


def test_personal_names_visitors_in_another_way(visit):
    view = kept(
        lambda request: request.COOKIES["cart"],
        vary=lambda request: request.headers.get("Authorization"),
        personal=True,
    )
    assert [visit(view, cookies={"cart": n}, authorization="ana") for n in "ab"] == ["a", "a"]
    assert visit(view, cookies={"cart": "c"}, authorization="ben") == "c"
    assert [visit(view, cookies={"cart": n}) for n in "de"] == ["d", "e"]


def test_credentials_that_vary_does_not_name_are_nobody_else_s(visit):
    view = kept(lambda request: request.headers["Authorization"], vary=lambda request: 1)
    assert [visit(view, authorization=name) for name in ("ana", "ben")] == ["ana", "ben"]


def test_a_cookie_is_the_page_s_if_vary_returned_it(visit):
    both = lambda request: f"{request.COOKIES.get('theme')} {request.COOKIES.get('cart')}"  # noqa: E731 - as a project writes it
    theme = {"vary": lambda request: request.COOKIES.get("theme", "light")}
    shown = kept(lambda request: request.COOKIES.get("theme"), **theme)
    assert visit(shown, cookies={"theme": "dark"}) == "dark"
    assert visit(shown, cookies={"theme": "light"}) == "light"
    view = kept(both, **theme)
    assert [visit(view, cookies={"theme": "x", "cart": n}) for n in "ab"] == ["x a", "x b"]
    asked = kept(both, vary=lambda request: "cart" in request.COOKIES)
    assert [visit(asked, cookies={"cart": n}) for n in "ab"] == ["None a", "None b"]


def test_what_middleware_has_read_from_the_session_is_not_shared(rf):
    view = kept(lambda request: request.cart)
    seen = []
    for cart in "ab":
        request = rf.get("/")
        request.session = SessionStore()
        request.session._session_cache = {"cart": cart}
        request.cart = request.session["cart"]
        seen.append(view(request).content)
    assert seen == [b"a", b"b"]


def test_who_is_logged_in_may_be_asked_before(rf):
    view = kept(lambda request: view_site.runs.note("page"))
    seen = []
    for _ in range(2):
        request = rf.get("/")
        request.session = SessionStore()
        request.session._session_cache = {"_csrftoken": "t"}
        request.session.get("_auth_user_id")
        seen.append(view(request).content)
        assert request.session.accessed
    assert seen == [b"1", b"1"]


def test_a_parameter_that_is_no_part_of_the_key_reaches_no_page(visit):
    view = kept(lambda request: f"{request.get_full_path()} {request.GET.dict()}", query=["page"])
    assert visit(view, path="/?evil=1&page=2&page=3") == "/?page=2&page=3 {'page': '3'}"


def test_the_parameters_are_there_again_after_the_view(rf):
    request = rf.get("/?evil=1")
    kept(lambda request: request.GET.dict(), query=["page"])(request)
    assert (request.META["QUERY_STRING"], request.GET.dict()) == ("evil=1", {"evil": "1"})


def test_a_kept_page_says_to_middleware_what_it_said(rf):
    @cached_view(60)
    @xframe_options_exempt
    def view(request):
        response = HttpResponse(str(view_site.runs.note("page")))
        response._csp_config = {"script-src": ["'self'"]}
        return response

    for _ in range(2):
        response = view(rf.get("/"))
        assert response.content == b"1"
        assert response.xframe_options_exempt is True
        assert response._csp_config == {"script-src": ["'self'"]}


def test_a_page_that_says_something_else_is_not_kept(rf):
    @cached_view(60)
    def view(request):
        response = HttpResponse(str(view_site.runs.note("page")))
        response.of_our_middleware = True
        return response

    assert [view(rf.get("/")).of_our_middleware for _ in range(2)] == [True, True]


@pytest.mark.parametrize(
    "take",
    [
        lambda request: request.auser(),
        lambda request: request.session.aget("n"),
        sync_to_async(lambda request: request.COOKIES["n"]),
    ],
)
def test_an_async_page_of_many_members_shows_none_of_them(rf, ana, ben, take):
    @cached_view(60, vary=lambda request: "members")
    async def view(request):
        return HttpResponse(str(await take(request)))

    async def auser(user):
        return user

    seen = []
    for user in (ana, ben):
        request = rf.get("/", HTTP_COOKIE=f"n={user}")
        request.session, request.user = SessionStore(), user
        request.session._session_cache = {"n": str(user)}
        request.auser = partial(auser, user)
        seen.append(async_to_sync(view)(request).content)
    assert seen == [b"ana", b"ben"]
