"""Priorities as lanes: each queue of the Tasks framework is three queues of the broker.

Dramatiq orders by priority only what one worker has fetched already. With a lane for what is urgent and one
for what can wait, each consumed for itself, an urgent job overtakes whatever waits in the broker.
"""

from __future__ import annotations

HIGH, LOW = ".high", ".low"
HIGHEST_NORMAL = 33  # of Django's -100 to 100, each lane has a third

# Dramatiq's order within one worker: the smaller goes first. Plain actors have 0.
_ORDER = {HIGH: -10, "": 0, LOW: 10}


def lane_of(queue: str, priority: int) -> str:
    """Return the broker's queue for jobs of `queue` with a Task's `priority`, -100 to 100."""
    if priority > HIGHEST_NORMAL:
        return queue + HIGH
    return queue + LOW if priority < -HIGHEST_NORMAL else queue


def lanes_of(queue: str) -> tuple[str, str, str]:
    """Return the broker's queues of `queue`, the most urgent first."""
    return queue + HIGH, queue, queue + LOW


def queue_of(lane: str) -> str:
    """Return the queue that `lane` is one of."""
    return lane.removesuffix(_suffix(lane))


def order_of(lane: str) -> int:
    """Return the priority, in Dramatiq's sense, of the actor that works on `lane`."""
    return _ORDER[_suffix(lane)]


def _suffix(lane: str) -> str:
    return next((suffix for suffix in (HIGH, LOW) if lane.endswith(suffix)), "")
