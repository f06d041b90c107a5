from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from django.core.checks import run_checks

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions import EngineUnsupported, sessions_of
from scalekit.sessions.checks import (
    DATABASE,
    ENGINE,
    HYBRID,
    MIDDLEWARE,
    check_cookie,
    check_engine,
    check_for_one_server,
)
from scalekit.sessions.conf import settings as sessions_settings
from scalekit.sessions.health import checks
from scalekit.sessions.redis import SessionStore


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_nothing_configured_nothing_said():
    assert check_engine() == []
    assert checks() == []


def test_nothing_configured_imports_no_client():
    code = "import django; django.setup(); import scalekit.sessions.redis, sys; print('redis' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_an_engine_without_address_is_an_error(settings):
    settings.SESSION_ENGINE = ENGINE
    assert ids(check_engine()) == ["scalekit.sessions.E001", "scalekit.sessions.W001"]
    with pytest.raises(SettingInvalid, match="SCALEKIT_SESSIONS_REDIS_URL is not set"):
        SessionStore("a" * 32).load()


def test_all_in_place(settings):
    settings.SESSION_ENGINE = ENGINE
    settings.SCALEKIT_SESSIONS_REDIS_URL = "redis://127.0.0.1:1/0"
    settings.MIDDLEWARE = [MIDDLEWARE]
    assert check_engine() == []
    (check,) = checks()
    assert check.critical


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis:/x"])
def test_another_kind_of_address_is_refused(settings, url):
    settings.SCALEKIT_SESSIONS_REDIS_URL = url
    with pytest.raises(SettingInvalid, match="SCALEKIT_SESSIONS_REDIS_URL"):
        sessions_settings.REDIS_URL  # noqa: B018


LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
DUMMY = "django.core.cache.backends.dummy.DummyCache"
REDIS = "django.core.cache.backends.redis.RedisCache"


def test_the_database_needs_no_address(settings):
    settings.SESSION_ENGINE, settings.MIDDLEWARE = DATABASE, [MIDDLEWARE]
    assert check_engine() == []


def test_its_table_needs_the_app(settings):
    settings.SESSION_ENGINE, settings.MIDDLEWARE = DATABASE, [MIDDLEWARE]
    settings.INSTALLED_APPS = [n for n in settings.INSTALLED_APPS if n != "scalekit.sessions"]
    assert ids(check_engine()) == ["scalekit.sessions.E006"]


@pytest.mark.parametrize(
    ("engine", "cache", "expected"),
    [
        ("file", REDIS, ["scalekit.sessions.E005"]),
        ("cache", LOCMEM, ["scalekit.sessions.E005"]),
        ("cache", REDIS, ["scalekit.sessions.W002"]),
        ("signed_cookies", REDIS, ["scalekit.sessions.W003"]),
        ("db", LOCMEM, []),
        ("cache", DUMMY, ["scalekit.sessions.E005"]),
        ("cached_db", LOCMEM, ["scalekit.sessions.W006"]),
        ("cached_db", REDIS, []),
    ],
)
def test_engines_that_lose_sessions(settings, engine, cache, expected):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.CACHES = {"default": {"BACKEND": cache}}
    assert ids(check_for_one_server()) == expected


@pytest.mark.django_db  # Django's check of JSON fields asks the database
@pytest.mark.parametrize(
    ("engine", "name", "value"),
    [(ENGINE, "REDIS_URL", "http://x"), (DATABASE, "PREVIOUS_ENGINE", 5)],
)
def test_a_setting_that_cannot_be_used_is_said_once(settings, engine, name, value):
    settings.SESSION_ENGINE = engine
    setattr(settings, f"SCALEKIT_SESSIONS_{name}", value)
    found = [m for m in run_checks(include_deployment_checks=True) if name in m.msg]
    assert ids(found) == ["scalekit.core.E002"]


@pytest.mark.django_db  # Django's check of JSON fields asks the database
@pytest.mark.parametrize("engine", ["file", "cache", "cached_db"])
def test_what_ties_a_session_to_one_server_is_said_once(settings, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.CACHES = {"default": {"BACKEND": LOCMEM}}
    said = ids(run_checks(include_deployment_checks=True))
    ours = {"scalekit.sessions.E005", "scalekit.sessions.W006"}
    healths = {"scalekit.health.W011", "scalekit.health.W012"}
    assert len([name for name in said if name in ours | healths]) == 1


def test_a_cookie_that_others_can_read(settings):
    settings.SESSION_ENGINE = HYBRID
    assert ids(check_cookie()) == ["scalekit.sessions.W004"]
    settings.SESSION_COOKIE_SECURE = True
    assert list(check_cookie()) == []
    settings.SESSION_COOKIE_HTTPONLY = False
    assert ids(check_cookie()) == ["scalekit.sessions.W004"]


@pytest.mark.parametrize(
    ("previous", "says"),
    [
        ("shop.sessions", "no session engine"),
        ("scalekit.sessions.conf", "no session engine"),
        (DATABASE, "SESSION_ENGINE itself"),
        ("django.contrib.sessions.backends.cache", "pickles"),
    ],
)
def test_a_previous_engine_that_cannot_be_read(settings, previous, says):
    settings.SESSION_ENGINE, settings.MIDDLEWARE = DATABASE, [MIDDLEWARE]
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "x"}
    }
    settings.SCALEKIT_SESSIONS_PREVIOUS_ENGINE = previous
    (error,) = check_engine()
    assert error.id == "scalekit.sessions.E004"
    assert says in error.msg


class Pickles:
    def dumps(self, obj):
        return pickle.dumps(obj)


def test_a_serializer_that_makes_pickles(settings):
    settings.SESSION_ENGINE, settings.MIDDLEWARE = DATABASE, [MIDDLEWARE]
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    assert ids(check_engine()) == ["scalekit.sessions.E003"]


def test_users_of_other_engines_are_told_what_to_write(settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with pytest.raises(EngineUnsupported, match=r"Write one of scalekit\.sessions\.redis"):
        sessions_of(7)


def test_the_same_hybrid_checks_as_redis(settings):
    settings.SESSION_ENGINE, settings.MIDDLEWARE = HYBRID, [MIDDLEWARE]
    assert ids(check_engine()) == ["scalekit.sessions.E001"]
