"""The sessions of one user: list them, end them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings

from scalekit.sessions import previous
from scalekit.sessions.events import SESSIONS_ENDED
from scalekit.sessions.exceptions import EngineUnsupported
from scalekit.sessions.records import StoredSession, name_of, name_of_user
from scalekit.sessions.steps import finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.sessions.stores.base import Store

ENGINES = tuple(f"scalekit.sessions.{name}" for name in ("redis", "database", "hybrid"))


def current_store() -> Store:
    """Return the store of SESSION_ENGINE. Raises `EngineUnsupported` if that is none of scalekit's."""
    session = import_module(django_settings.SESSION_ENGINE).SessionStore
    store: Store | None = getattr(session, "store", None)
    if store is None:
        raise EngineUnsupported(
            f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}, which cannot list or end a user's sessions."
            f" Write one of {', '.join(ENGINES)}."
        )
    return store


def sessions_of(user: Any) -> list[StoredSession]:
    """Return the live sessions in which `user` (or the user with this primary key) is logged in.

    Raises `SessionStoreUnavailable`, or `EngineUnsupported`. Sessions of the previous engine are not
    among them before their visitor comes back.
    """
    return finish(current_store().of_owner(owner_of(user)))


def logout_everywhere(user: Any, *, keep: str | None = None) -> int:
    """End all sessions of `user` (or of the user with this primary key), and return how many there were.

    `keep` is the session key of one that goes on: `request.session.session_key`. Those that the
    previous engine still has are never taken over. Raises as `sessions_of` does.
    """
    seconds = previous.tombstone_seconds()
    if (
        seconds
    ):  # before the list: a session that is copied meanwhile is on it, or finds the tombstone
        finish(current_store().delete(name_of_user(owner_of(user)), seconds))
    kept = name_of(keep) if keep else None
    return end_sessions([session.name for session in sessions_of(user) if session.name != kept])


def end_sessions(names: Sequence[str]) -> int:
    """End the sessions with these names, as `sessions_of` gives them; return how many that are."""
    finish(current_store().end(names, previous.tombstone_seconds()))
    SESSIONS_ENDED.emit(count=len(names))
    return len(names)


def owner_of(user: Any) -> str:
    """Return how a session names its user: as Django does, by the primary key's text."""
    meta = getattr(user, "_meta", None)
    return str(user) if meta is None else meta.pk.value_to_string(user)
