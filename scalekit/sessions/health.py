"""Health checks of what keeps the sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from scalekit.health.base import Check
from scalekit.sessions.accounts import ENGINES, current_store
from scalekit.sessions.servers import Command
from scalekit.sessions.steps import finish

if TYPE_CHECKING:
    from scalekit.sessions.steps import Steps
    from scalekit.sessions.stores.base import Store


class SessionStoreCheck(Check):
    """Ask Redis whether it is there. The hybrid engine is slower without it, and no more."""

    name = "session store"

    def __init__(self, *, critical: bool = True) -> None:
        self.critical = critical

    def run(self) -> None:
        finish(_ping())


class SessionTableCheck(Check):
    """Ask the sessions' table: without it no visitor is signed in."""

    name = "session database"
    critical = True

    def run(self) -> None:
        finish(current_store().exists(""))


def checks() -> list[Check]:
    """Return the checks of the engine in use, if it is one of ours."""
    return list(_of(current_store())) if settings.SESSION_ENGINE in ENGINES else []


def _of(store: Store) -> list[Check]:
    found: list[Check] = []
    if store.uses_redis:
        found.append(SessionStoreCheck(critical=not store.uses_database))
    if store.uses_database:
        found.append(SessionTableCheck())
    return found


def _ping() -> Steps[Any]:
    return (yield Command("ping", "PING"))
