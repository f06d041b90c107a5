"""Sessions that every web server shares, and that two requests at once cannot spoil.

    SESSION_ENGINE = "scalekit.sessions.redis"      # or .database, or .hybrid: both
    SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0"

    sessions_of(user)           # where this user is logged in
    logout_everywhere(user)     # end all of that

Its page: docs/journey/stateless_web_tier.md.
"""

from __future__ import annotations

from typing import Any

from scalekit.sessions.exceptions import (
    EngineUnsupported,
    SessionStoreUnavailable,
    SessionTooLarge,
)
from scalekit.sessions.records import StoredSession

__all__ = [
    "EngineUnsupported",
    "SessionStoreUnavailable",
    "SessionTooLarge",
    "StoredSession",
    "logout_everywhere",
    "sessions_of",
]


def sessions_of(user: Any) -> list[StoredSession]:
    """Return the live sessions in which `user` (or the user with this primary key) is logged in.

    Raises `SessionStoreUnavailable`, or `EngineUnsupported` if SESSION_ENGINE is none of scalekit's.
    """
    from scalekit.sessions.accounts import sessions_of

    return sessions_of(user)


def logout_everywhere(user: Any, *, keep: str | None = None) -> int:
    """End all sessions of `user` (or of the user with this primary key), and return how many there were.

    `keep` is the session key of one that goes on: `request.session.session_key`. Raises as `sessions_of` does.
    """
    from scalekit.sessions.accounts import logout_everywhere

    return logout_everywhere(user, keep=keep)
