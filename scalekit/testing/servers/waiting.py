"""Waits that end: every wait of this package is a poll with a deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import ServerTimeout

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Waits:
    """How long to wait, all in seconds, and by which clock.

    `start` bounds the way from spawning a server to its first answer, `stop` an orderly stop (after it comes
    SIGKILL), and `act` everything else: a promotion, a replay, the end of a killed process, a tool.
    """

    start: float = 60.0
    stop: float = 10.0
    act: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def happens(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Poll `condition` until it is true; False when it is not after `seconds`."""
        deadline, pause = self.clock() + seconds, 0.002
        while not condition():
            if self.clock() >= deadline:
                return False
            self.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return True

    def until(self, condition: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Poll `condition` until it is true, for at most `seconds` (default: `act`).

        Raises `ServerTimeout` with `what` was waited for.
        """
        limit = self.act if seconds is None else seconds
        if not self.happens(condition, limit):
            raise ServerTimeout(f"{what}: not within {limit:g} s")
