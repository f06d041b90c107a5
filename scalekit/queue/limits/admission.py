"""Whether a job may run now, and if not, when.

A job over its limit lines up. For a rate it gets the time of its turn; for a place it is called, where its
record lies in a database, and else comes back about as often as places become free. Who comes for the first
time lines up behind those who wait, so that none starves.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from scalekit.queue.limits.lines import NO_TIME, has_waiting, next_time, time_until
from scalekit.queue.limits.places import Place, leave_place, take_place
from scalekit.queue.limits.waiting import anyone_waits, call_next, line_up, step_out

if TYPE_CHECKING:
    from django.db.models import Exists

    from scalekit.queue.limits.declared import Limits, Rate

# For which a job waits in its thread: shorter than the way back through outbox and broker.
PATIENCE = timedelta(seconds=1)
UNCALLED = 300.0  # seconds after which a job comes back that nobody has called
SHORTEST, LONGEST = 0.02, 0.25  # seconds between two that come back without being called
JITTER = 0.5  # seconds, so that those of many lines do not come at once
_LEARNING = 0.2  # the weight of the latest duration in what is taken for the usual one

_durations: dict[str, float] = {}  # by task: seconds


@dataclass(frozen=True, slots=True)
class Applicant:
    """A job that wants to run. `database` has its record, if it has one."""

    id: str
    database: str | None = None
    has_waited: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A job may run in `wait` seconds; `place` is what it holds meanwhile."""

    wait: float = 0.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job is over the limit, and may try again in `delay` seconds, or when it is called."""

    limit: Literal["rate", "concurrency"]
    delay: float


def admit(limits: Limits, job: Applicant) -> Admission | Refusal:
    """Take what the job needs to run, or tell it when to come back."""
    place = None
    if limits.concurrency is not None:
        place = take_place(limits.name, limits.concurrency, job.id, behind=_others(limits, job))
        if place is None:
            return Refusal("concurrency", _line_up_for_a_place(limits, job))
    try:
        answer = _with_a_place(limits, job, place)
    except BaseException:  # whatever it is, the job does not run: its place must not be kept for it
        if place is not None:
            leave_place(place)
        raise
    if isinstance(answer, Refusal) and place is not None:
        leave_place(place)  # and nobody is called: the next one would be over the rate as well
    return answer


def _with_a_place(limits: Limits, job: Applicant, place: Place | None) -> Admission | Refusal:
    if place is not None and job.has_waited and job.database:
        step_out(job.id)
    if limits.rate is None:
        return Admission(place=place)
    answer = _paced(limits, limits.rate, job)
    return answer if isinstance(answer, Refusal) else Admission(answer.wait, place)


def leave(limits: Limits, place: Place) -> None:
    """Free `place`, call the next one, and learn how long such jobs take."""
    seconds = leave_place(place)
    call_next(limits.name)
    usual = _durations.get(limits.task, seconds)
    _durations[limits.task] = usual + _LEARNING * (seconds - usual)


def wait_for(admission: Admission) -> None:
    """Let the moment come that the rate allows, where it is too near for putting the job off."""
    if admission.wait:
        time.sleep(admission.wait)


def _others(limits: Limits, job: Applicant) -> Exists | None:
    """Return the condition that there are some whom `job` must not pass; None if it may pass all."""
    if job.has_waited:
        return None
    return anyone_waits(limits.name) if job.database else has_waiting(_line(limits))


def _line_up_for_a_place(limits: Limits, job: Applicant) -> float:
    if job.database:
        line_up(limits.name, job.id, job.database)
        return UNCALLED * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return _line_up(limits, _usual_spacing(limits))


def _paced(limits: Limits, rate: Rate, job: Applicant) -> Admission | Refusal:
    line = f"{limits.name} rate"
    wait = next_time(
        line,
        rate.spacing,
        tolerance=rate.tolerance,
        within=PATIENCE,
        behind=None if job.has_waited else has_waiting(_line(limits)),
    )
    if wait is not None:
        return Admission(wait.total_seconds())
    ahead = time_until(line) - rate.tolerance - PATIENCE / 2
    return Refusal("rate", _line_up(limits, rate.spacing, ahead))


def _line_up(limits: Limits, spacing: timedelta, ahead: timedelta = NO_TIME) -> float:
    """Take a time in the waiting line."""
    own = next_time(_line(limits), spacing, not_before=max(ahead, NO_TIME)) or NO_TIME
    return own.total_seconds() + random.uniform(0, min(spacing.total_seconds(), JITTER))  # noqa: S311 - no secret


def _line(limits: Limits) -> str:
    return f"{limits.name} waiting"


def _usual_spacing(limits: Limits) -> timedelta:
    """Return how often a place becomes free, as far as this process knows."""
    usual = _durations.get(limits.task, 0.0) / (limits.concurrency or 1)
    return timedelta(seconds=min(max(usual, SHORTEST), LONGEST))
