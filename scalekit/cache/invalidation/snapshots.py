"""Whether what is loaded here and now is what everybody may see: committed, and not of an old snapshot."""

from __future__ import annotations

from typing import Any

from django.db import connections

from scalekit.cache.invalidation.opened import is_of_test, is_open_unseen
from scalekit.cache.invalidation.transactions import has_written
from scalekit.cache.invalidation.watching import see_from_now_on

_COMMITTED = {"READ_COMMITTED", "READ_UNCOMMITTED", "READ COMMITTED", "READ UNCOMMITTED"}


def sees_commits() -> bool:
    """Return whether a load here and now sees what is committed now, and nothing else; asked twice a miss.

    False in a transaction that has written: what it shows may be rolled back. False in one that reads from a
    snapshot, which may be older than the stamps. What is loaded there may not be kept, nor given to others.
    """
    mine = connections.all(initialized_only=True)
    for connection in mine:
        see_from_now_on(connection)
    return not has_written() and not any(
        is_open_unseen(connection) or _shows_its_own(connection) for connection in mine
    )


def _shows_its_own(connection: Any) -> bool:
    """Return whether a block of `atomic()` has a snapshot."""
    if not connection.in_atomic_block or is_of_test(connection):
        return False
    return _has_snapshot(connection)


def _has_snapshot(connection: Any) -> bool:
    """Return whether a transaction's reads all show one moment: always on SQLite, elsewhere by its isolation."""
    if connection.vendor == "oracle":
        return False
    level = getattr(connection, "isolation_level", None)
    return str(getattr(level, "name", level)).upper() not in _COMMITTED
