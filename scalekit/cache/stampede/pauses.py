"""How often those who wait for a load of another process look whether it is there. Free of Django."""

from __future__ import annotations

from random import uniform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST, _LONGEST = 0.005, 0.1  # seconds
_SHARE = 0.25  # of the time waited so far


def pauses() -> Iterator[float]:
    """Yield seconds: a share of the time waited so far, so that nobody waits much longer than the load takes.

    A load of 200 ms is asked for some 15 times by a process, one of 7 s some 80 times, however many of its
    threads wait. The pauses are spread, so that processes do not ask all at once.
    """
    waited = 0.0
    while True:
        pause = min(max(_FIRST, _SHARE * waited), _LONGEST) * uniform(0.8, 1.2)  # noqa: S311 - no secret
        waited += pause
        yield pause
