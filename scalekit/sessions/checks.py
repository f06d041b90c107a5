"""System checks of the sessions."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions import plain, previous
from scalekit.sessions.accounts import ENGINES
from scalekit.sessions.conf import settings
from scalekit.sessions.session import refuse_pickle

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE, DATABASE, HYBRID = ENGINES
MIDDLEWARE = "scalekit.sessions.middleware.SessionMiddleware"
DJANGO_S = "django.contrib.sessions.backends."
ON_ONE_SERVER = (".LocMemCache", ".FileBasedCache")
REMEDY = f"Write SESSION_ENGINE = {DATABASE!r} (or {HYBRID!r}, with Redis)."


@register()
def check_engine(**_: Any) -> list[CheckMessage]:
    """Find an engine that has no store to go to, or an outage that would look like a fault of the site."""
    engine = django_settings.SESSION_ENGINE
    if engine not in ENGINES:
        return []
    found = [*_not_installed(engine), *_pickling(), *_plain_middleware(), *_previous_unusable()]
    return [*_no_address(engine), *_no_client(engine), *found] if engine != DATABASE else found


@register(deploy=True)
def check_for_one_server(**_: Any) -> Iterator[CheckMessage]:
    """Find engines that lose sessions where there is more than one server, or with a cache."""
    engine = django_settings.SESSION_ENGINE
    backend = django_settings.CACHES.get(django_settings.SESSION_CACHE_ALIAS, {}).get("BACKEND", "")
    if engine == f"{DJANGO_S}file":
        yield _lives_on_one_server("sessions lie in files of one server")
    elif engine == f"{DJANGO_S}cache" and backend.endswith((*ON_ONE_SERVER, ".DummyCache")):
        yield _lives_on_one_server(f"sessions lie in {backend}, which one server has to itself")
    elif engine == f"{DJANGO_S}cache":
        yield Warning(
            "Sessions lie in the cache alone: whatever it evicts, or a second of outage, logs visitors out.",
            hint=REMEDY,
            id="scalekit.sessions.W002",
        )
    elif engine == f"{DJANGO_S}cached_db" and backend.endswith(ON_ONE_SERVER):
        yield Warning(
            f"Copies of the sessions lie in {backend}, which one server has to itself: who logs out there is still"
            " logged in on the others.",
            hint=REMEDY,
            id="scalekit.sessions.W006",
        )
    elif engine == f"{DJANGO_S}signed_cookies":
        yield Warning(
            "Sessions lie in signed cookies: a logout cannot end one that somebody has copied.",
            hint=REMEDY,
            id="scalekit.sessions.W003",
        )


@register(deploy=True)
def check_cookie(**_: Any) -> Iterator[CheckMessage]:
    """Find a session cookie that is sent in the clear, or that scripts can read."""
    if django_settings.SESSION_ENGINE not in ENGINES:
        return
    for name in ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY"):
        if not getattr(django_settings, name):
            yield Warning(
                f"{name} is not set: who overhears or injects a script has the visitor's login.",
                hint=f"Write {name} = True (as soon as the site is served over HTTPS).",
                id="scalekit.sessions.W004",
            )


@register(deploy=True)
def check_eviction(**_: Any) -> Iterator[CheckMessage]:
    """Ask the Redis that is the only store whether it may throw sessions away."""
    if django_settings.SESSION_ENGINE != ENGINE or not _valid("REDIS_URL"):
        return
    policy = _eviction_policy()
    if policy and policy != "noeviction":
        yield Warning(
            f"The Redis of the sessions evicts keys when its memory is full (maxmemory-policy {policy}), which logs"
            " visitors out.",
            hint=f"Give the sessions a Redis with maxmemory-policy noeviction, or use {HYBRID!r}.",
            id="scalekit.sessions.W005",
        )


def _eviction_policy() -> str:
    from redis.exceptions import RedisError

    from scalekit.sessions.servers import current_server

    try:
        info = current_server().client.info("memory")
    except (RedisError, OSError):  # a check is no probe: /readyz says that the store is down
        return ""
    return str(info.get("maxmemory_policy", "")) if info.get("maxmemory") else ""


def _lives_on_one_server(why: str) -> CheckMessage:
    return Error(
        f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}: {why}, and the next request may reach another.",
        hint=REMEDY,
        id="scalekit.sessions.E005",
    )


def _valid(name: str) -> Any:
    """Return a setting; None for one that cannot be used, which scalekit.core.E002 says."""
    try:
        return getattr(settings, name)
    except SettingInvalid:
        return None


def _not_installed(engine: str) -> Iterator[CheckMessage]:
    if engine != ENGINE and not apps.is_installed("scalekit.sessions"):
        yield Error(
            f"SESSION_ENGINE is {engine!r}, but the app of its table is not installed.",
            hint='Add "scalekit.sessions" to INSTALLED_APPS and run manage.py migrate.',
            id="scalekit.sessions.E006",
        )


def _no_address(engine: str) -> Iterator[CheckMessage]:
    if _valid("REDIS_URL") == "":
        yield Error(
            f"SESSION_ENGINE is {engine!r}, but SCALEKIT_SESSIONS_REDIS_URL is not set.",
            hint='Write SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0".',
            id="scalekit.sessions.E001",
        )


def _no_client(engine: str) -> Iterator[CheckMessage]:
    if not find_spec("redis"):
        yield Error(
            f"SESSION_ENGINE is {engine!r}, but the Redis client is not installed.",
            hint='Install it: pip install "django-scalekit[redis]"',
            id="scalekit.sessions.E002",
        )


def _pickling() -> Iterator[CheckMessage]:
    from django.utils.module_loading import import_string

    try:
        refuse_pickle(import_string(django_settings.SESSION_SERIALIZER))
    except SettingInvalid as error:
        yield Error(str(error), id="scalekit.sessions.E003")


def _previous_unusable() -> Iterator[CheckMessage]:
    path = _valid("PREVIOUS_ENGINE")
    if not path:
        return
    try:
        previous.engine()
        if path == f"{DJANGO_S}cache":
            plain.require_readable()
        if path == django_settings.SESSION_ENGINE:
            raise SettingInvalid(
                f"SCALEKIT_SESSIONS_PREVIOUS_ENGINE = {path!r} is SESSION_ENGINE itself. Name the one before it."
            )
    except SettingInvalid as error:
        yield Error(str(error), id="scalekit.sessions.E004")


def _plain_middleware() -> Iterator[CheckMessage]:
    if MIDDLEWARE not in django_settings.MIDDLEWARE:
        yield Warning(
            "While the session store is down, visitors will see error 500 instead of 503.",
            hint=f"In MIDDLEWARE, replace Django's SessionMiddleware by {MIDDLEWARE!r}.",
            id="scalekit.sessions.W001",
        )
