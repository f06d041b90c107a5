"""Whether a transaction shows what others commit while it is open."""

from __future__ import annotations

from typing import Any

from django.db import connections

from scalekit.cache.invalidation.transactions import is_of_test, is_open

_COMMITTED = {"READ_COMMITTED", "READ_UNCOMMITTED", "READ COMMITTED", "READ UNCOMMITTED"}


def sees_commits() -> bool:
    """Return whether a load here and now sees what is committed now; asked once a miss.

    False in a transaction that reads from a snapshot, which may be older than the stamps: what is loaded there
    may not be kept.
    """
    return not any(
        is_open(connection) and not is_of_test(connection) and _has_snapshot(connection)
        for connection in connections.all(initialized_only=True)
    )


def _has_snapshot(connection: Any) -> bool:
    """Return whether a transaction's reads all show one moment: always on SQLite, elsewhere by its isolation."""
    if connection.vendor == "oracle":
        return False
    level = getattr(connection, "isolation_level", None)
    return str(getattr(level, "name", level)).upper() not in _COMMITTED
