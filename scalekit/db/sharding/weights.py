"""Shards that take more than others: whole numbers, 1 where nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_WEIGHT = 1000


def checked_weights(shards: Sequence[str], weights: Mapping[str, int] | None) -> tuple[int, ...]:
    """Return the weight of each shard, in order. Raises `ValueError`."""
    given = {} if weights is None else weights
    if not hasattr(given, "items"):
        msg = f'weights is {weights!r}; write {{"{shards[0]}": 2}}'
        raise ValueError(msg)
    for alias, weight in given.items():
        if alias not in shards:
            msg = f"weights names {alias!r}, which is not in shards: {', '.join(shards)}"
            raise ValueError(msg)
        if type(weight) is not int or not 1 <= weight <= MAX_WEIGHT:
            msg = f"weights[{alias!r}] is {weight!r}; write a whole number from 1 to {MAX_WEIGHT}"
            raise ValueError(msg)
    return tuple(given.get(alias, 1) for alias in shards)
