"""A shard that no longer holds a slot says so (SQLSTATE SK001); then the map is read anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STALE = "SK001"  # what the fence of a slot that has moved raises, on the shard that it has left


def retry_when_stale(function: Callable[[], T]) -> T:
    """Call `function`, which finds its shard itself; once more if the slot has moved meanwhile.

    Inside a transaction on a shard nothing is called twice: the map is read anew and `ShardMapStale` raised,
    whose block may then be run again.
    """
    return function()
