from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware
from dramatiq.errors import RateLimitExceeded, Retry

from scalekit.queue.facts import JOB
from scalekit.queue.results import announce_finished

if TYPE_CHECKING:
    from scalekit.queue.jobs import Job, Outcome

logger = logging.getLogger("scalekit.queue")

EXPECTED = (Retry, RateLimitExceeded)  # how a task says "later": no error, to Dramatiq neither


class TaskSignals(Middleware):
    """Send `task_finished` when a Task has ended for good: after success, or after its last attempt.

    Runs inside the worker's ``except`` block, so that Django's receiver logs the traceback. That of an earlier
    attempt is logged here, and Dramatiq's own line, which would be a second one, is left out.
    """

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        logging.getLogger("dramatiq.worker.WorkerThread").addFilter(_is_not_told_here)

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        job = JOB.get()
        if job is not None and not job.is_put_off:
            tell(job, exception)


def tell(job: Job, error: BaseException | None) -> None:
    """Send `task_finished` for a Task that has ended for good, or log why it is to be tried again."""
    if job.result is None:
        return
    outcome = job.outcome(error)
    if outcome in {"succeeded", "failed"}:
        announce_finished(job.result, job.record, error)
    elif error is not None and not isinstance(error, EXPECTED):
        _log_attempt(job, outcome, error)


def _log_attempt(job: Job, outcome: Outcome, error: BaseException) -> None:
    told = job.result.id, job.task, job.result.attempts, outcome
    logger.warning("Task id=%s path=%s attempt=%s outcome=%s", *told, exc_info=error)


def _is_not_told_here(record: logging.LogRecord) -> bool:
    """Let all pass but that the attempt of a Task has raised."""
    job = JOB.get()
    return not record.exc_info or job is None or job.result is None
