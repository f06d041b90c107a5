"""Ends of jobs that need not be waited for: those of many, in one statement."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scalekit.core.context import unit_of_work
from scalekit.queue.exceptions import StoreUnreachable
from scalekit.queue.models import Status
from scalekit.queue.records.quickly import can_be_quick, succeed
from scalekit.queue.records.states import note, value_of
from scalekit.queue.records.steps import Ending
from scalekit.queue.records.store import reaching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.queue.jobs import Job
    from scalekit.queue.records.steps import Ended

logger = logging.getLogger("scalekit.queue")

# Options of Dramatiq's own middleware for what comes after a job; it looks at them on the job's thread.
FOLLOWERS = {"on_success", "pipe_target"}


def plain_ending(job: Job) -> Ending | None:
    """Return the end of `job`, which has succeeded; None if there is more to be said, or done, than that."""
    record = job.record
    if record is None or job.progress is not None or job.message.failed:
        return None
    if not can_be_quick(str(job.database)) or FOLLOWERS & job.message.options.keys():
        return None
    value = {"status": Status.SUCCESSFUL, "return_value": value_of(job), "unique_key": None}
    ending = Ending(record, value)
    return None if ending.sets_off_others else ending


def end_together(database: str, jobs: Sequence[tuple[Job, Ending]]) -> None:
    """Finish those of `jobs` that are still their worker's. One that could not be has no `ending` yet."""
    try:
        answers = reaching(database, lambda: _succeed(database, [ending for _, ending in jobs]))
    except StoreUnreachable:
        return  # who ends them one by one says so, and waits
    except Exception as error:  # noqa: BLE001 - of one of them: who ends them one by one finds out of which
        logger.debug("%d jobs are ended one by one: %s", len(jobs), error)
        return
    for (job, ending), ended in zip(jobs, answers, strict=True):
        if ended is not None:
            note(job, ending, ended, "succeeded")


def _succeed(database: str, endings: Sequence[Ending]) -> Sequence[Ended | None]:
    # In a unit of its own: it is no write of a job's, whose reads it must not pin to the primary.
    with unit_of_work():
        if not can_be_quick(database):
            return [None] * len(endings)
        return succeed(database, endings)
