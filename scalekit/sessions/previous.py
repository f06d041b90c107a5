"""Read the sessions of the engine that was used before, so that switching logs nobody out.

What Django's cache engine keeps is a pickle. It is read as plain data (`plain`), from Redis caches; other
caches are not read at all. Database and signed-cookie sessions carry Django's signature, and what SESSION_SERIALIZER
makes of it: no engine of ours accepts one that makes pickles.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseSession
from django.db import router
from django.utils import timezone

from scalekit.core.exceptions import SettingInvalid
from scalekit.sessions.conf import settings
from scalekit.sessions.events import SESSION_STORE_FAILED
from scalekit.sessions.exceptions import SessionStoreUnavailable
from scalekit.sessions.plain import forget_cached, read_cached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.sessions.backends.base import SessionBase

T = TypeVar("T")

DJANGO_S = "django.contrib.sessions.backends."
CACHED_DB = f"{DJANGO_S}cached_db"
KEY = re.compile(r"[A-Za-z0-9_:.=-]+")  # random keys, and signed cookies; others are hostile


def tombstone_seconds() -> int:
    """Return for how long an ended session must be kept from being taken over again; 0 without such an engine.

    A signed cookie can be sent again for that long, whatever the server deletes.
    """
    return django_settings.SESSION_COOKIE_AGE if settings.PREVIOUS_ENGINE else 0


def read(session_key: str) -> Mapping[str, Any] | None:
    """Return what the previous engine has under the key. Raises `SessionStoreUnavailable` if it cannot tell."""
    if not KEY.fullmatch(session_key):
        return None
    if settings.PREVIOUS_ENGINE.endswith(".backends.cache"):
        return _asked(lambda: read_cached(session_key))
    session = _session(session_key)
    data: Mapping[str, Any] = _asked(session.load)
    return data if session.session_key else None


def forget(session_key: str) -> None:
    """End the session in the previous engine too: servers that have not been deployed yet still use it."""
    if not KEY.fullmatch(session_key):
        return
    _asked(lambda: _session(session_key).delete(session_key))
    if settings.PREVIOUS_ENGINE == CACHED_DB:
        # Those servers believe its cache. Where it has been taken away, there are none, and nobody waits for it.
        with suppress(SessionStoreUnavailable):
            _asked(lambda: forget_cached(session_key))


def engine() -> type[SessionBase]:
    """Return the previous engine's class. Raises `SettingInvalid`."""
    path = settings.PREVIOUS_ENGINE
    if path == CACHED_DB:
        path = f"{DJANGO_S}db"  # the truth of the two, and no pickle
    try:
        found = import_module(path).SessionStore
    except (ImportError, AttributeError) as error:
        raise SettingInvalid(
            f"SCALEKIT_SESSIONS_PREVIOUS_ENGINE = {path!r} is no session engine: {error}. Write what"
            f' SESSION_ENGINE was, for example "{DJANGO_S}db", or remove the line.'
        ) from error
    return _on_primary(found) if issubclass(found, DatabaseSession) else found


def _session(session_key: str) -> Any:
    session: Any = engine()(session_key)
    session.adopts = False  # an engine of ours does not look for its own previous engine
    return session


def _on_primary(engine: type[DatabaseSession]) -> type[SessionBase]:
    """Return Django's database engine, reading where it writes: a replica may not know of a login yet."""

    class PreviousSession(engine):  # type: ignore[misc, valid-type]  # whichever subclass it is
        def _get_session_from_db(self) -> Any:
            primary = self.model.objects.using(router.db_for_write(self.model))
            live = primary.filter(session_key=self.session_key, expire_date__gt=timezone.now())
            found = live.first()
            if found is None:
                self._session_key = None
            return found

    PreviousSession.__qualname__ = engine.__qualname__  # part of the signature's salt
    return PreviousSession


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except SettingInvalid:
        raise
    except Exception as error:
        # Whatever it is: to say that there is no session would take the visitor's cookie.
        SESSION_STORE_FAILED.emit(operation="previous engine", error=repr(error))
        raise SessionStoreUnavailable from error
