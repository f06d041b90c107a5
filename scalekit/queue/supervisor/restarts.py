"""How long to wait before a process that died is replaced: not at all, unless the last ones died young too."""

from __future__ import annotations

from dataclasses import dataclass

YOUNG = 10.0  # seconds; who lives longer has started well
FIRST = 0.5  # seconds before the replacement of the second that died young, doubled from then on
LONGEST = 30.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How many in a row died young, and until when no other is started."""

    in_a_row: int = 0
    not_before: float = 0.0

    def after_death(self, lived: float, now: float) -> Restarts:
        """Return what follows from a process that died after `lived` seconds."""
        if lived >= YOUNG:
            return Restarts()
        in_a_row = self.in_a_row + 1
        doublings = min(in_a_row - 2, 10)
        delay = 0.0 if in_a_row == 1 else min(LONGEST, FIRST * 2**doublings)
        return Restarts(in_a_row, max(self.not_before, now + delay))

    def allow(self, now: float) -> bool:
        """Tell whether a process may be started."""
        return now >= self.not_before
