from __future__ import annotations

import subprocess
import sys

import pytest

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.checks import ENGINE, MIDDLEWARE, check_engine
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
