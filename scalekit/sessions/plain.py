"""Read what Django's cache engine has kept, without running what a pickle may say."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.events import SESSION_UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE_KEY = (
    "django.contrib.sessions.cache"  # the prefix of Django's engine, before the session's key
)
OURS = "scalekit.sessions.plain.PlainSerializer"
CACHED_DB_KEY = "django.contrib.sessions.cached_db"  # as above

# How each backend is told to use another serializer.
READERS: dict[str, dict[str, Any]] = {
    "django.core.cache.backends.redis.RedisCache": {"serializer": OURS},
    # An outage that it ignores would look like a session that is gone.
    "django_redis.cache.RedisCache": {"SERIALIZER": OURS, "IGNORE_EXCEPTIONS": False},
}


class PlainUnpickler(pickle.Unpickler):
    """Reads text, numbers, lists, dicts and the like; what names a class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a session, which is not loaded")


class PlainSerializer:
    """A serializer for a cache backend that reads only."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def dumps(self, obj: Any) -> bytes:
        raise NotImplementedError

    def loads(self, data: Any) -> Any:
        if isinstance(data, int):
            return data
        try:
            return PlainUnpickler(io.BytesIO(data)).load()
        except Exception as error:  # garbage may raise anything
            raise pickle.UnpicklingError(repr(error)) from error


def read_cached(session_key: str) -> Mapping[str, Any] | None:
    """Return a session of Django's cache engine; None if there is none, or it is not plain data."""
    try:
        found = _reader().get(CACHE_KEY + session_key)
    except pickle.UnpicklingError as error:
        SESSION_UNREADABLE.emit(error=repr(error))
        return None
    return found if isinstance(found, dict) else None


def forget_cached(session_key: str) -> None:
    """Delete what Django's cached_db engine has in its cache."""
    caches[django_settings.SESSION_CACHE_ALIAS].delete(CACHED_DB_KEY + session_key)


def require_readable() -> None:
    """Raise `SettingInvalid` if the sessions in the cache cannot be read without loading pickles."""
    alias = django_settings.SESSION_CACHE_ALIAS
    backend = django_settings.CACHES.get(alias, {}).get("BACKEND", "")
    if backend not in READERS and not backend.endswith(".LocMemCache"):
        raise SettingInvalid(
            f"SCALEKIT_SESSIONS_PREVIOUS_ENGINE: the sessions in CACHES[{alias!r}] are pickles, and its backend cannot"
            " be told to read plain data only. Use Django's RedisCache or django-redis, or let visitors log in again."
        )


def _reader() -> Any:
    require_readable()
    alias = django_settings.SESSION_CACHE_ALIAS
    config = django_settings.CACHES[alias]
    extra = READERS.get(config["BACKEND"])
    if extra is None:  # this process's own memory
        return caches[alias]
    return _made(alias, config, extra)


def _made(alias: str, config: dict[str, Any], extra: dict[str, Any]) -> Any:
    """Make the cache once more, with our serializer. Redis clients may be used by all threads."""
    if alias not in _caches:
        params = {k: v for k, v in config.items() if k not in ("BACKEND", "LOCATION")}
        options = {**params.pop("OPTIONS", {}), **extra}
        backend = import_string(config["BACKEND"])
        made = backend(config.get("LOCATION", ""), {**params, "OPTIONS": options})
        _caches.setdefault(alias, made)
    return _caches[alias]


_caches: dict[str, Any] = {}


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        _caches.clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.sessions.plain")
