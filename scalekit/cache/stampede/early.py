"""When a value is loaded again before its end. Free of Django."""

from __future__ import annotations

from math import log
from random import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalekit.cache.values import Entry

_FARTHEST = 37.0  # loads before the end: -ln(2**-53), the smallest that `random` gives


def is_due(entry: Entry, now: float) -> bool:
    """Return whether this reader should refresh the entry; sure after its soft expiry, likelier the nearer it is.

    The time that a load takes is the measure of what is near, and the exponential distribution is the best
    there is: Vattani, Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
    """
    left = entry.soft_expiry - now
    if left > entry.delta * _FARTHEST:
        return False
    return left <= 0 or -entry.delta * log(1.0 - random()) >= left  # noqa: S311 - no secret
