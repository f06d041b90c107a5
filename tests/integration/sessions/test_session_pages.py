"""What a visitor notices of the engines and of the middleware."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import AsyncClient, Client, modify_settings
from django.test.utils import isolate_apps

from scalekit.sessions import middleware as middleware_module
from scalekit.sessions import sessions_of
from scalekit.sessions.checks import MIDDLEWARE

pytestmark = [pytest.mark.servers, pytest.mark.urls("tests.integration.sessions.pages")]

STRONGER = "django.contrib.auth.hashers.PBKDF2PasswordHasher"
NEW_PASSWORD = ("new_password1", "new_password2")


@pytest.fixture
def ana(database):
    return User.objects.create_user("ana", password="sunprint")


@pytest.fixture
def visitor(engine, ana):
    client = Client(raise_request_exception=False)
    assert client.get("/enter/").content == b"in"
    return client


def another_device(ana):
    client = Client()
    client.force_login(ana)
    return client


def test_what_a_view_changes_in_place_is_saved(visitor):
    assert [visitor.get("/append/").content for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_view_that_reads_writes_nothing(visitor, monkeypatch):
    monkeypatch.setattr(
        "scalekit.sessions.session.StoredSessionBase.save", lambda *_: pytest.fail("a save")
    )
    assert visitor.get("/who/").content == b"ana"


def test_a_login_gives_a_new_key(engine, ana):
    client = Client()
    client.get("/count/")
    before = client.cookies["sessionid"].value
    client.get("/enter/")
    assert client.cookies["sessionid"].value != before
    assert client.get("/count/").content == b"2"
    assert engine(before).load() == {}


def test_a_session_that_ended_elsewhere_is_a_visitor_who_is_not_logged_in(visitor, engine):
    engine(visitor.cookies["sessionid"].value).flush()
    response = visitor.get("/who/")
    assert response.content == b""
    assert response.cookies["sessionid"].value == ""  # the store said that it is gone


def test_a_logout_during_a_request_is_the_400_that_django_gives(visitor, engine, monkeypatch):
    real = engine.save

    def save(session, **kwargs):
        engine(session.session_key).flush()
        real(session, **kwargs)

    monkeypatch.setattr("scalekit.sessions.session.StoredSessionBase.save", save)
    assert visitor.get("/count/").status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("atomic", [False, True])
def test_a_password_change_logs_out_everywhere_else(visitor, ana, atomic):
    others = [another_device(ana) for _ in range(2)]
    assert len(sessions_of(ana)) == 3
    form = {"old_password": "sunprint", **dict.fromkeys(NEW_PASSWORD, "Cyanotype-1842")}
    connection.settings_dict["ATOMIC_REQUESTS"] = atomic
    try:
        assert visitor.post("/password/", form).status_code == HTTPStatus.FOUND
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert len(sessions_of(ana)) == 1
    assert [other.get("/who/").content for other in others] == [b"", b""]
    assert visitor.get("/who/").content == b"ana"


@isolate_apps("django.contrib.auth")
def test_nor_does_it_matter_by_which_class_of_the_user(visitor, ana):
    class Customer(User):
        class Meta:
            app_label, proxy = "auth", True

    customer = Customer.objects.get(pk=ana.pk)
    customer.set_password("blueprint")
    customer.save()
    assert sessions_of(ana) == []


def test_one_that_is_rolled_back_does_not(visitor, ana):
    from tests.db.databases import rolled_back

    with rolled_back():
        ana.set_password("cyanotype")
        ana.save()
    assert visitor.get("/who/").content == b"ana"


def test_a_stronger_hash_of_the_same_password_does_not(visitor, ana, settings):
    settings.PASSWORD_HASHERS = [STRONGER, *settings.PASSWORD_HASHERS]
    assert Client().login(username="ana", password="sunprint")
    ana.refresh_from_db()
    assert ana.password.startswith("pbkdf2_sha256$")
    assert len(sessions_of(ana)) == 2


def test_other_changes_of_the_user_do_not(visitor, ana):
    ana.email = "ana@example.org"
    ana.save()
    assert len(sessions_of(ana)) == 1


def test_the_setting_leaves_that_to_django(visitor, ana, settings):
    settings.SCALEKIT_SESSIONS_LOGOUT_ON_PASSWORD_CHANGE = False
    ana.set_password("cyanotype")
    ana.save()
    assert len(sessions_of(ana)) == 1


def test_a_lifetime_rolls_when_it_is_read_after_a_while(visitor, settings, monkeypatch):
    settings.SCALEKIT_SESSIONS_ROLLING_SECONDS = 60
    assert not visitor.get("/who/").cookies
    now = middleware_module.time()
    monkeypatch.setattr(middleware_module, "time", lambda: now + 61)
    assert visitor.get("/who/").cookies["sessionid"]["max-age"]
    assert not visitor.get("/public/").cookies  # not read, not renewed


@pytest.fixture
def page_cache(settings):
    """Let Django keep whole pages."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    changes = {
        "prepend": "django.middleware.cache.UpdateCacheMiddleware",
        "append": "django.middleware.cache.FetchFromCacheMiddleware",
    }
    with modify_settings(MIDDLEWARE=changes):
        yield


@pytest.mark.parametrize("page", ["/public/", "/shared/"])
def test_a_cached_page_gives_nobody_the_cookie_of_another(page_cache, visitor, page):
    first = visitor.get(page)
    assert "sessionid" in first.cookies
    assert "Cookie" in first["Vary"]
    assert "public" not in first.get("Cache-Control", "")
    stranger = Client()
    second = stranger.get(page)
    assert (second.content, second.status_code) == (b"hello", HTTPStatus.OK)
    assert "sessionid" not in second.cookies


def test_under_asgi(engine, ana):
    async def visits():
        client = AsyncClient()
        await client.aforce_login(ana)
        counts = [
            (await client.get(page)).content
            for page in ("/count/", "/count_async/", "/count_async/")
        ]
        copy = AsyncClient()
        copy.cookies["sessionid"] = client.cookies["sessionid"].value
        await client.get("/leave/")
        after = (await copy.get("/who/")).content
        await sync_to_async(connections.close_all)()
        return counts, after

    assert async_to_sync(visits)() == ([b"1", b"2", b"3"], b"")


def test_under_asgi_a_deleted_session_is_the_same_400(engine, ana, monkeypatch):
    real = engine.asave

    async def asave(session, **kwargs):
        await engine(session.session_key).aflush()
        await real(session, **kwargs)

    async def visit():
        client = AsyncClient()
        await client.aforce_login(ana)
        monkeypatch.setattr("scalekit.sessions.session.StoredSessionBase.asave", asave)
        status = (await client.get("/count_async/")).status_code
        await sync_to_async(connections.close_all)()
        return status

    assert async_to_sync(visit)() == HTTPStatus.BAD_REQUEST


def test_the_middleware_serves_other_engines_too(database, ana, settings):
    settings.MIDDLEWARE = [
        MIDDLEWARE if "sessions.middleware" in name else name for name in settings.MIDDLEWARE
    ]
    client = Client()
    client.force_login(ana)
    assert client.get("/count/").content == b"1"

    async def visit():
        asynchronous = AsyncClient()
        asynchronous.cookies["sessionid"] = client.cookies["sessionid"].value
        count = (await asynchronous.get("/count_async/")).content
        await sync_to_async(connections.close_all)()
        return count

    assert async_to_sync(visit)() == b"2"


def get_async(path, cookie):
    async def visit():
        client = AsyncClient(raise_request_exception=False)
        client.cookies["sessionid"] = cookie
        response = await client.get(path)
        await sync_to_async(connections.close_all)()
        return response

    return async_to_sync(visit)()


def test_under_asgi_a_change_in_its_place_renews_the_cookie_too(visitor):
    cookie = visitor.cookies["sessionid"].value
    assert "sessionid" in get_async("/append/", cookie).cookies
    assert "sessionid" in get_async("/append/", cookie).cookies


def test_under_asgi_a_broken_page_is_itself(visitor, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    response = get_async("/broken/", visitor.cookies["sessionid"].value)
    assert response.content == b"broken"
