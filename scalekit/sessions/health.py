"""Health check of the session store: without it no visitor is signed in."""

from __future__ import annotations

from django.conf import settings

from scalekit.health.base import Check
from scalekit.sessions.server import ask


class SessionStoreCheck(Check):
    """Ask the store whether it is there."""

    name = "session store"
    critical = True

    def run(self) -> None:
        ask("ping", lambda server: server.client.ping())


def checks() -> list[Check]:
    """Return the check, if sessions are kept there."""
    return [SessionStoreCheck()] if settings.SESSION_ENGINE == "scalekit.sessions.redis" else []
