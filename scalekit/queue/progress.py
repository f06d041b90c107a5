"""How far a job has come, as it says itself.

    for done, row in enumerate(rows, 1):
        load(row)
        report_progress(done, len(rows), "Loading")

    progress_of(result)     # Progress(done=120, total=400, message="Loading")

Reporting is cheap enough for the innermost loop: it changes memory. A thread of the process writes what has
changed once a second, on a connection of its own: on the job's it would be part of the job's transaction, not
to be seen before the commit, and would keep the lease of the job from being renewed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.queue.background import Background
from scalekit.queue.facts import JOB
from scalekit.queue.finding import find_record
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from uuid import UUID

    from scalekit.queue.jobs import Job

EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of `total` is `done`; both count what the job counts."""

    done: float
    total: float
    message: str = ""

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else 0.0


def report_progress(done: float, total: float, message: str = "") -> None:
    """Say how far the running job has come; written at most once a second, and when the job ends.

    Outside a job, and in jobs with ``record=False``, it does nothing. Raises ValueError for what is no number.
    """
    if not (math.isfinite(done) and math.isfinite(total)):
        raise ValueError(f"Progress is two numbers, not {done!r} of {total!r}.")
    job = JOB.get()
    if job is None or job.record is None:
        return
    job.progress = {"done": done, "total": total, "message": str(message)}
    _unwritten[job.record.pk] = job
    writer.wake()


def progress_of(result: Any) -> Progress | None:
    """Return what the job of a TaskResult, or with an id, has last said; None if it has said nothing.

    Raises TaskResultDoesNotExist where there is no such job.
    """
    record, _ = find_record(result)
    return Progress(**record.progress) if record.progress else None


_unwritten: dict[UUID, Job] = {}


def _write() -> bool:
    """Write what has been said since the last time; tell whether there was anything."""
    found = False
    while _unwritten:
        _, job = _unwritten.popitem()
        record, found = job.record, True
        if record is not None and job.database is not None:
            mine = TaskRecord.objects.using(job.database).filter(
                pk=record.pk, attempt=record.attempt, status=Status.RUNNING
            )
            mine.update(progress=job.progress)
    return found


writer = Background("scalekit-progress", lambda: EVERY, _write)
