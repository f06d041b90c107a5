"""From one state of a job to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from scalekit.queue.jobs import Job


def claim(job: Job) -> None:
    """Make the job of `job.message` this worker's, and set `job.record` and `job.result`.

    Raises SkipMessage where it is finished, gone, or another worker's.
    """
    raise NotImplementedError


def finish(job: Job, *, value: Any = None, error: BaseException | None = None) -> bool:
    """Say how `job` ended for good; False where it is no longer this worker's to say."""
    raise NotImplementedError


def retry_later(job: Job, error: BaseException, delay: float) -> bool:
    """Make `job` READY again, to be run in `delay` seconds, and keep `error`."""
    raise NotImplementedError


def postpone(job: Job, delay: float) -> bool:
    """Make `job` READY again, to be run in `delay` seconds; the attempt does not count."""
    raise NotImplementedError


def fail(id: UUID, database: str, *, exception_class_path: str, message: str) -> bool:  # noqa: A002 - as in the table
    """Make the job `id` of `database` FAILED, whoever has it; False where it has ended already."""
    raise NotImplementedError
