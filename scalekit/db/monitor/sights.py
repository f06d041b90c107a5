"""What was last seen of each server, as plain values that any thread reads without a lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalekit.db.positions import Position


@dataclass(frozen=True, slots=True)
class Observation:
    """One server's answer to one probe, at `at` (monotonic seconds), after `took` seconds.

    `position` is the end of a primary's log, or what a standby has replayed. `exact` is False where the
    timeline of a standby may be newer: only roles with pg_monitor see the receiver's.
    """

    at: float
    took: float
    standby: bool
    position: Position
    exact: bool = True
    paused: bool = False
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What routing may rely on: `reason` says why a server is out, and is empty for one that is well.

    `proven` is a position that the server has certainly replayed, None where that is not known; `learned`
    says when a request found that out (monotonic seconds), 0 if the monitor did.
    """

    reason: str = ""
    lag: float = 0.0
    proven: Position | None = None
    observed: Observation | None = None
    learned: float = 0.0

    def has(self, position: Position) -> bool:
        return self.proven is not None and self.proven.reaches(position)

    def is_near(self, position: Position) -> bool:
        """Return whether a server may get to `position` within milliseconds."""
        seen = self.observed
        if self.reason or seen is None or not (seen.exact and seen.streaming):
            return False
        return not (self.lag or seen.paused) and seen.position[:2] == position[:2]

    def proving(self, position: Position, at: float) -> Sight:
        """Return the sight of a server that a request has asked `at` that time."""
        further = self.proven is None or position.reaches(self.proven)
        return replace(self, proven=position, learned=at) if further else self


UNSEEN = Sight()
