"""Whether a job may run now, and if not, when.

A job over its limit gets a time in a waiting line, spaced as places or the pace allow, and comes back then.
Who comes for the first time lines up behind those who wait, so that none starves, and no more come back at
once than could run.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from scalekit.queue.limits.lines import NO_TIME, next_time, time_until
from scalekit.queue.limits.places import Place, leave_place, take_place

if TYPE_CHECKING:
    from scalekit.queue.limits.declared import Limits, Rate

PATIENCE = timedelta(
    seconds=1
)  # for which a job waits in its thread: shorter than the way through the outbox
SHORTEST, LONGEST = 0.02, 0.25  # seconds between two that come back for a place
JITTER = 0.5  # seconds
_LEARNING = 0.2  # the weight of the latest duration in what is taken for the usual one

_durations: dict[str, float] = {}  # by task: seconds


@dataclass(frozen=True, slots=True)
class Admission:
    """A job may run in `wait` seconds; `place` is what it holds meanwhile."""

    wait: float = 0.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job is over the limit, and may try again in `delay` seconds."""

    limit: Literal["rate", "concurrency"]
    delay: float


def admit(limits: Limits, job_id: str, *, has_waited: bool) -> Admission | Refusal:
    """Take what the job needs to run, or tell it when to come back."""
    place = None
    behind = None if has_waited else _line(limits)
    if limits.concurrency is not None:
        place = take_place(limits.name, limits.concurrency, job_id, behind=behind)
        if place is None:
            return Refusal("concurrency", _line_up(limits, _usual_spacing(limits)))
    if limits.rate is None:
        return Admission(place=place)
    return _paced(limits, limits.rate, place, behind)


def leave(limits: Limits, place: Place) -> None:
    """Free `place`, and learn how long such jobs take."""
    seconds = leave_place(place)
    usual = _durations.get(limits.task, seconds)
    _durations[limits.task] = usual + _LEARNING * (seconds - usual)


def _paced(
    limits: Limits, rate: Rate, place: Place | None, behind: str | None
) -> Admission | Refusal:
    wait = next_time(
        f"{limits.name} rate",
        rate.spacing,
        tolerance=rate.tolerance,
        within=PATIENCE,
        behind=behind,
    )
    if wait is not None:
        return Admission(wait.total_seconds(), place)
    if place is not None:
        leave_place(place)
    ahead = time_until(f"{limits.name} rate") - rate.tolerance - PATIENCE / 2
    return Refusal("rate", _line_up(limits, rate.spacing, ahead))


def _line_up(limits: Limits, spacing: timedelta, ahead: timedelta = NO_TIME) -> float:
    """Take a time in the waiting line; with jitter, that those of many lines do not come at once."""
    own = next_time(_line(limits), spacing, not_before=max(ahead, NO_TIME)) or NO_TIME
    return own.total_seconds() + random.uniform(0, min(spacing.total_seconds(), JITTER))  # noqa: S311 - no secret


def _line(limits: Limits) -> str:
    return f"{limits.name} waiting"


def _usual_spacing(limits: Limits) -> timedelta:
    """Return how often a place becomes free, as far as this process knows."""
    usual = _durations.get(limits.task, 0.0) / (limits.concurrency or 1)
    return timedelta(seconds=min(max(usual, SHORTEST), LONGEST))


def wait_for(admission: Admission) -> None:
    if admission.wait:
        time.sleep(admission.wait)
