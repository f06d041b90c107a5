"""System checks of the sessions."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.conf import settings

ENGINE = "scalekit.sessions.redis"
MIDDLEWARE = "scalekit.sessions.middleware.SessionMiddleware"


@register()
def check_engine(**_: Any) -> list[CheckMessage]:
    """Find an engine that has no store to go to, or an outage that would look like a fault of the site."""
    if django_settings.SESSION_ENGINE != ENGINE:
        return []
    return [*_no_address(), *_no_client(), *_plain_middleware()]


def _no_address() -> list[CheckMessage]:
    try:
        url = settings.REDIS_URL
    except SettingInvalid:  # scalekit.core.E002 says so
        return []
    if url:
        return []
    return [
        Error(
            f"SESSION_ENGINE is {ENGINE!r}, but SCALEKIT_SESSIONS_REDIS_URL is not set.",
            hint='Write SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0".',
            id="scalekit.sessions.E001",
        )
    ]


def _no_client() -> list[CheckMessage]:
    if find_spec("redis"):
        return []
    return [
        Error(
            f"SESSION_ENGINE is {ENGINE!r}, but the Redis client is not installed.",
            hint='Install it: pip install "django-scalekit[redis]"',
            id="scalekit.sessions.E002",
        )
    ]


def _plain_middleware() -> list[CheckMessage]:
    if MIDDLEWARE in django_settings.MIDDLEWARE:
        return []
    return [
        Warning(
            "While the session store is down, visitors will see error 500 instead of 503.",
            hint=f"In MIDDLEWARE, replace Django's SessionMiddleware by {MIDDLEWARE!r}.",
            id="scalekit.sessions.W001",
        )
    ]
