"""From what servers answer to who may be read from: pure, with time as an argument."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scalekit.db.monitor.sights import Observation
    from scalekit.db.positions import Position

SAMPLES = 600  # ten minutes, at one a second
SLOW_SECONDS, SLOW_FACTOR = 0.25, 5  # an outlier is slow in itself and beside the others
SLOW_PROBES = 2  # so many in a row
READMITTED_AT = 0.5  # of the limit: one that has just caught up does not flap around it

LAG, PAUSED, CUT_OFF = "lag", "paused", "cut off"
OTHER_CLUSTER, OTHER_TIMELINE = "another cluster", "another timeline"
UNCHANGED = frozenset({OTHER_CLUSTER, OTHER_TIMELINE})  # by the primary's absence


class History:
    """Where a primary's log ended, and when: how a lag in seconds is told without comparing clocks."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=SAMPLES)
        self._lsns: deque[int] = deque(maxlen=SAMPLES)
        self.log: tuple[int, int] | None = None  # system, timeline

    def add(self, at: float, position: Position) -> None:
        """Remember a sample. Another timeline, or a log that went back, begins anew."""
        lsn = position.lsn
        if self.log != position[:2] or (self._lsns and lsn < self._lsns[-1]):
            self._times.clear()
            self._lsns.clear()
        self.log = position[:2]
        self._times.append(at)
        self._lsns.append(lsn)

    def outdates(self, position: Position) -> bool:
        """Return whether another server was promoted after the one that is at `position`."""
        return self.log is not None and position.system == self.log[0] and position[:2] < self.log

    def lag(self, replayed: int) -> float:
        """Return how long before the newest sample the oldest one not replayed was taken, in seconds.

        0 if only the newest is missing: it was taken while the replica was being asked.
        """
        lsns = list(self._lsns)
        first = bisect_right(lsns, replayed)
        return self._times[-1] - self._times[first] if first < len(lsns) - 1 else 0.0


def fault_of(
    replica: Observation, primary: Observation | None, lag: float, max_lag: float, was: str = ""
) -> str:
    """Return why a replica that answers is not to be read from; empty if it is.

    `was` is the fault of a moment ago. While its primary does not answer, a replica gets no new fault: its
    receiver has nobody to receive from, and whoever was well is as good as it gets.
    """
    if not replica.standby:
        return "promoted"
    is_late = lag > max_lag * (READMITTED_AT if was == LAG else 1)
    if primary is None:
        faults = {LAG: is_late, PAUSED: replica.paused, CUT_OFF: False}
        return was if faults.get(was, was in UNCHANGED) else ""
    one, other = replica.position, primary.position
    faults = {
        OTHER_CLUSTER: one.system != other.system,
        OTHER_TIMELINE: replica.exact and one.timeline != other.timeline,
        LAG: is_late,
        PAUSED: replica.paused and one.lsn < other.lsn,
        CUT_OFF: not replica.streaming,
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


def slowest(took: dict[str, float]) -> set[str]:
    """Return the servers that are slow beside the others; all being slow is this process's own doing."""
    if len(took) < 2:  # noqa: PLR2004 - one server has nobody beside it
        return set()
    return {
        alias
        for alias, seconds in took.items()
        if seconds > SLOW_SECONDS and seconds > SLOW_FACTOR * median(_without(alias, took))
    }


def _without(alias: str, took: dict[str, float]) -> Iterable[float]:
    return [seconds for other, seconds in took.items() if other != alias]


def proven(
    seen: Observation,
    before: Observation | None,
    primary: Observation | None,
    known: Position | None = None,
) -> Position | None:
    """Return a position that a standby has certainly replayed, on the timeline that it names.

    Where the timeline is not exact, what `pg_control_checkpoint` says is the lowest that it can be; and
    if its primary was, later, still on that one, it is also the highest. While the primary is silent, what
    was `known` of a standby stays true unless it went back: to an earlier place, or to another timeline.
    """
    if seen.exact:
        return seen.position
    if primary is None and known is not None and seen.position.reaches(known):
        return known
    if before is None or primary is None or primary.at < before.at:
        return None
    return before.position if before.position[:2] == primary.position[:2] else None
