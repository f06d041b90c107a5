"""A shard that no longer holds a slot says so (SQLSTATE SK001); then the map is read anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from django.db import DatabaseError, connections

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes, settings
from scalekit.db.exceptions import ShardMapStale
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STALE = "SK001"  # what the fence of a slot that has moved raises, on the shard that it has left
# A fence goes up a moment before the map says where the slot has gone.
PATIENCE = 2.0  # seconds
PAUSE = 0.05


def retry_when_stale(function: Callable[[], T]) -> T:
    """Call `function`, which finds its shard itself; once more if the slot has moved meanwhile.

    Inside a transaction on a shard nothing is called twice: the map is read anew and `ShardMapStale` raised,
    whose block may then be run again.
    """
    before = _versions()
    try:
        return function()
    except DatabaseError as error:
        if not is_stale(error):
            raise
        if _in_transaction():
            _reload()
            raise ShardMapStale from error
        if not _changed_since(before):
            raise _stuck() from error
    try:
        return function()
    except DatabaseError as error:
        raise (ShardMapStale() if is_stale(error) else error) from error.__cause__


def retry_after(error: DatabaseError, function: Callable[[], T]) -> T:
    """Go on as `retry_when_stale` does after `error` of a first attempt that was made without it."""
    if not is_stale(error):
        raise error
    _reload()
    if _in_transaction():
        raise ShardMapStale from error
    return retry_when_stale(function)


def is_stale(error: BaseException) -> bool:
    """Return whether a shard has refused a statement because its slot has moved."""
    # The first is that of a transaction inside a call, which has ended with it.
    return isinstance(error, ShardMapStale) or getattr(error.__cause__, "sqlstate", None) == STALE


def _versions() -> list[int | None]:
    return [stored.version for stored in schemes.stored_maps()]


def _reload() -> None:
    for stored in schemes.stored_maps():
        stored.reload()


def _changed_since(before: list[int | None]) -> bool:
    """Read the maps until one has changed; False if that takes too long."""
    end = time.monotonic() + PATIENCE
    while True:
        _reload()
        if _versions() != before:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)


def _in_transaction() -> bool:
    begun = {schemes[group].starts_on for group in settings.SHARDING}
    aliases = current_cluster().shard_aliases | begun
    return any(is_open(c) for c in connections.all(initialized_only=True) if c.alias in aliases)


def _stuck() -> ShardMapStale:
    return ShardMapStale(
        f"A shard says that a slot has left it, but for {PATIENCE:g} s the slot map has not said where it went. "
        "See manage.py shard_map show, and whether a move was broken off."
    )
