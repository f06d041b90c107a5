"""What an invalidation tells later loads: which writes the database they read must show."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from time import time
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.cache.conf import settings
from scalekit.core.context import demanding, demands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

_USUAL_LAG = 15.0  # seconds: SCALEKIT_DB_MAX_LAG, the time until a replica is taken out, and clocks that differ
_WRONG_CLOCK = 3600.0  # seconds by which a server's clock may be ahead of another's


def replica_seconds() -> float:
    """Return how long a replica may yet lack a write; 0 without replicas."""
    if settings.REPLICA_LAG is not None:
        return settings.REPLICA_LAG
    return _USUAL_LAG if _has_replicas() else 0


def _has_replicas() -> bool:
    databases: Iterable[dict[str, Any]] = connections.settings.values()
    return any(map(_is_replica, databases))


def _is_replica(entry: dict[str, Any]) -> bool:
    """Return whether a database lags behind another; in tests a mirror is that other."""
    if entry.get("TEST", {}).get("MIRROR"):
        return not _is_testing()
    return bool(entry.get("SCALEKIT", {}).get("REPLICA_OF"))


def _is_testing() -> bool:
    """Return whether Django's test environment is set up."""
    utils: Any = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001 - nothing else tells


def facts_of_write() -> dict[str, Any]:
    """Return what travels with an invalidation: nothing, where no reader could be behind."""
    demanded = demands()
    return {"at": round(time(), 3), "demands": demanded} if demanded else {}


def seeing(facts: Iterable[Mapping[str, Any]]) -> AbstractContextManager[None]:
    """Return a context manager in which a load reads no database behind the facts of its stamps.

    Facts older than a replica in rotation may lag demand nothing any more.
    """
    alive = [_demands_of(found) for found in facts if found]
    alive = [demanded for demanded in alive if demanded]
    return demanding(alive) if alive else nullcontext()


def _demands_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what facts from the cache demand; nothing for what this site cannot have written."""
    at, demanded = facts.get("at"), facts.get("demands")
    if not isinstance(at, (int, float)) or not isinstance(demanded, dict):
        return {}
    try:
        age = time() - at
    except OverflowError:
        return {}
    return demanded if -_WRONG_CLOCK < age < (replica_seconds() or _USUAL_LAG) else {}
