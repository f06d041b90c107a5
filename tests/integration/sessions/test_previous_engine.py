"""Switching engines with visitors online: nobody is logged out, and who logs out stays so."""

from __future__ import annotations

import pickle
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions import SessionStoreUnavailable, accounts, logout_everywhere, sessions_of
from scalekit.sessions.plain import CACHE_KEY
from scalekit.sessions.records import name_of_user
from scalekit.sessions.steps import finish
from scalekit.testing.fakes import captured_events
from tests.integration.sessions.threads import in_threads

pytestmark = [pytest.mark.servers, pytest.mark.urls("tests.integration.sessions.pages")]

DJANGO_S = "django.contrib.sessions.backends."
PREVIOUS = ["db", "cached_db", "cache", "file", "signed_cookies"]
CACHES = {
    "django": "django.core.cache.backends.redis.RedisCache",
    "django_redis": "django_redis.cache.RedisCache",
}
UNREACHABLE = {"default": {"BACKEND": CACHES["django"], "LOCATION": "redis://127.0.0.1:1/0"}}


@pytest.fixture
def settled(engine, settings, valkey, tmp_path):
    """Return a function that switches from one of Django's engines to ours, with a visitor online."""
    ours = settings.SESSION_ENGINE
    settings.SESSION_FILE_PATH = str(tmp_path)

    def switch(previous, cache="django"):
        url = valkey.url.replace("/0", "/1")
        settings.CACHES = {"default": {"BACKEND": CACHES[cache], "LOCATION": url}}
        settings.SESSION_ENGINE = path = f"{DJANGO_S}{previous}"
        visitor = Client()
        visitor.force_login(User.objects.create_user("ana"))
        visitor.get("/count/")
        settings.SESSION_ENGINE, settings.SCALEKIT_SESSIONS_PREVIOUS_ENGINE = ours, path
        return copy_of(visitor)  # the middleware of the first has loaded its engine

    yield switch
    for cache in caches.all(initialized_only=True):
        cache.close()


def copy_of(client):
    other = Client()
    other.cookies["sessionid"] = client.cookies["sessionid"].value
    return other


@pytest.mark.parametrize("previous", PREVIOUS)
def test_nobody_is_logged_out_by_a_switch(settled, previous):
    visitor = settled(previous)
    assert visitor.get("/who/").content == b"ana"
    assert [visitor.get("/count/").content for _ in range(2)] == [b"2", b"3"]
    assert len(sessions_of(User.objects.get())) == 1


@pytest.mark.parametrize("cache", CACHES)
def test_nor_with_either_cache(settled, cache):
    assert settled("cache", cache).get("/count/").content == b"2"


@pytest.mark.parametrize("previous", PREVIOUS)
def test_who_logs_out_is_not_taken_over_again(settled, previous):
    visitor = settled(previous)
    before, after = copy_of(visitor), copy_of(visitor)
    assert before.get("/who/").content == b"ana"
    visitor.get("/leave/")
    assert before.get("/who/").content == b""
    assert after.get("/who/").content == b""


def test_a_logout_as_the_first_request_holds_too(settled):
    visitor = settled("signed_cookies")
    copy = copy_of(visitor)
    visitor.get("/leave/")
    assert copy.get("/who/").content == b""


def test_logging_out_everywhere_reaches_those_that_have_not_come_back(settled):
    visitor = settled("db")
    logout_everywhere(User.objects.get())
    assert visitor.get("/who/").content == b""


def test_two_requests_at_once_take_over_one_session(settled, engine):
    key = settled("db").cookies["sessionid"].value

    def visit(number):
        session = engine(key)
        session[f"key {number}"] = number
        session.save()

    in_threads(8, visit)
    assert {f"key {number}" for number in range(8)} < set(engine(key).keys())


@pytest.mark.parametrize("previous", PREVIOUS)
def test_cookies_that_nobody_gave_out(settled, engine, previous):
    settled(previous)
    for cookie in ("a\x00b" * 10, "x" * 32, "é" * 20, "a:b:c" * 10):
        assert engine(cookie).load() == {}


def test_a_forged_cookie_is_refused(settled, engine):
    cookie = settled("signed_cookies").cookies["sessionid"].value
    assert engine(cookie[:-1] + ("a" if cookie[-1] != "a" else "b")).load() == {}


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("a pickle ran",))


def test_what_a_pickle_says_is_not_run(settled, engine, valkey):
    settled("cache")
    key = "k" * 32
    raw = caches["default"]
    raw._cache.get_client(write=True).set(
        raw.make_key(CACHE_KEY + key), pickle.dumps({"a": Exploit()})
    )
    with captured_events("session_unreadable") as unreadable:
        assert engine(key).load() == {}
    assert "not loaded" in unreadable[0].payload["error"]


def test_a_cache_that_cannot_be_read_as_plain_data_is_refused(settled, engine, settings):
    settled("cache")
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "x"}
    }
    with pytest.raises(SettingInvalid, match="pickles"):
        engine("k" * 32).load()


def test_a_previous_store_that_is_down_takes_no_cookie(settled, engine, settings):
    visitor = settled("cache")
    settings.CACHES = UNREACHABLE
    response = visitor.get("/who/")
    assert response.status_code == 503
    assert not response.cookies
    with pytest.raises(SessionStoreUnavailable):
        engine(visitor.cookies["sessionid"].value).load()


@pytest.mark.parametrize("previous", ["redis", "database"])
def test_from_one_of_ours_to_another(settled, engine, settings, previous):
    path = f"scalekit.sessions.{previous}"
    if path == settings.SESSION_ENGINE:
        return
    session = import_module(path).SessionStore()
    session["a"] = 1
    session.save()
    settings.SCALEKIT_SESSIONS_PREVIOUS_ENGINE = path
    assert engine(session.session_key)["a"] == 1
    assert engine("x" * 32).load() == {}
    engine(session.session_key).flush()
    assert engine(session.session_key).load() == {}


def test_tombstones_go_with_the_expired_sessions(settled, engine, settings):
    settings.SESSION_COOKIE_AGE = 0
    settled("db").get("/leave/")
    settings.SESSION_COOKIE_AGE = 1000
    call_command("clearsessions")
    assert engine.store.count_expired() == 0


def test_a_copied_session_that_expires_is_not_copied_again(settled, engine):
    key = settled("db").cookies["sessionid"].value
    session = engine(key)
    session["seen"] = True
    session.set_expiry(-1)
    session.save()
    engine.clear_expired()
    assert engine(key).load() == {}


def test_logging_out_everywhere_while_a_session_is_copied_ends_it(settled, engine, monkeypatch):
    key = settled("db").cookies["sessionid"].value
    user = User.objects.get()
    real = engine.store.save

    def save(*args):
        monkeypatch.undo()
        logout_everywhere(user)
        return (yield from real(*args))

    monkeypatch.setattr(engine.store, "save", save)
    assert engine(key).load() == {}
    assert engine(key).load() == {}
    assert sessions_of(user) == []


def test_nor_does_one_live_that_is_copied_just_after_the_list(settled, engine, monkeypatch):
    key = settled("db").cookies["sessionid"].value

    real = accounts.sessions_of

    def listed(user):
        found = real(user)
        engine(key).load()
        return found

    monkeypatch.setattr(accounts, "sessions_of", listed)
    logout_everywhere(User.objects.get())
    assert engine(key).load() == {}


def test_no_cookie_is_taken_for_the_mark_of_a_user(engine, settings):
    settings.SCALEKIT_SESSIONS_PREVIOUS_ENGINE = f"{DJANGO_S}db"
    engine("user:1234").flush()
    assert not finish(engine.store.has_ended(name_of_user("1234")))


def test_servers_that_still_have_cached_db_hear_of_a_logout(settled, engine):
    key = settled("cached_db").cookies["sessionid"].value
    engine(key).flush()
    assert import_module(f"{DJANGO_S}cached_db").SessionStore(key).load() == {}


def test_a_lost_cache_of_cached_db_keeps_nobody_from_logging_out(settled, settings):
    visitor = settled("cached_db")
    settings.CACHES = UNREACHABLE
    assert visitor.get("/leave/").status_code == 200


def test_a_previous_cache_that_hides_its_outage_takes_no_cookie(settled, settings):
    visitor = settled("cache", "django_redis")
    nowhere = {"BACKEND": CACHES["django_redis"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": nowhere | {"OPTIONS": {"IGNORE_EXCEPTIONS": True}}}
    response = visitor.get("/who/")
    assert response.status_code == 503
    assert not response.cookies


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\x80\x05}(K\x01u.", b"\x80\x05NNR."])
def test_garbage_in_the_previous_cache_is_no_session(settled, engine, garbage):
    settled("cache")
    raw, key = caches["default"], "k" * 32
    raw._cache.get_client(write=True).set(raw.make_key(CACHE_KEY + key), garbage)
    assert engine(key).load() == {}
