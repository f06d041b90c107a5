from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware
from dramatiq.errors import Retry
from dramatiq.middleware import Shutdown, SkipMessage

from scalekit.queue.backoff import backoff
from scalekit.queue.conf import settings
from scalekit.queue.exceptions import (
    JobSkipped,
    MessageRefused,
    PublishFailed,
    StoreUnreachable,
)
from scalekit.queue.facts import JOB
from scalekit.queue.jobs import TASK_ACTOR

if TYPE_CHECKING:
    from scalekit.queue.jobs import Job

logger = logging.getLogger("scalekit.queue")

AGAIN = 5.0  # seconds until the broker delivers a message again whose record cannot be reached
PAUSE = 1.0  # seconds, where the broker cannot take it back either


class Records(Middleware):
    """Claim the record of a job before it is run, and write into it how that went.

    Retries and delays of such jobs lie in the record, not in the broker: the message is acknowledged once
    the record says what comes next. A record that cannot be reached keeps no thread: its message goes back
    to the broker, and the jobs of other databases go on.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        from scalekit.queue.records import claim

        job = JOB.get()
        if job is None or job.database is None or not message.actor_name.startswith(TASK_ACTOR):
            return  # a plain actor has no record, whatever its message says
        try:
            claim(job)
        except SkipMessage:
            raise
        except MessageRefused as refusal:
            job.refusal = refusal
        except (
            Exception
        ) as error:  # whatever it is: Dramatiq would log it, and run the job unclaimed
            _report(error, message)
            _give_back(broker, message)
            raise SkipMessage(str(error)) from error

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        from scalekit.queue.settling import put_off

        job = _unsettled_job()
        if job is not None and not (exception is None and put_off(job)):
            settle(job, exception)

    def after_skip_message(self, broker: Any, message: Any) -> None:
        job = _unsettled_job()
        if job is not None:
            settle(job, JobSkipped())


def _unsettled_job() -> Job | None:
    """Return the job if it is claimed, and its record does not say yet how it went."""
    job = JOB.get()
    return job if job is not None and job.record is not None and job.ending is None else None


def _report(error: Exception, message: Any) -> None:
    if isinstance(error, StoreUnreachable):
        logger.warning("%s Job %s is delivered again.", error, message.message_id)
    else:
        logger.error(
            "Job %s cannot be claimed, and comes again", message.message_id, exc_info=error
        )


def settle(job: Job, error: BaseException | None) -> None:
    """Write how the attempt went. What cannot be written, a value or a traceback, makes the job FAILED."""
    from scalekit.queue.leases import held
    from scalekit.queue.records import finish

    try:
        _write_down(job, error)
    except Exception as refused:  # left RUNNING it would run again, to the same end
        logger.exception("The record of job %s does not take how it went", job.message.message_id)
        try:
            finish(job, error=refused)
        finally:
            held.discard(job)  # come what may, a lease that is not renewed runs out


def _write_down(job: Job, error: BaseException | None) -> None:
    from scalekit.queue.records import finish, postpone, retry_later, value_of

    if error is None and job.message.failed:  # given up by a middleware before it ran
        finish(job, error=JobSkipped())
    elif error is None:
        finish(job, value=value_of(job))
    elif isinstance(error, Shutdown):
        postpone(job, 0)
    elif _is_final(job, error):
        finish(job, error=error)
    else:
        retry_later(job, error, _delay(job, error))


def _is_final(job: Job, error: BaseException) -> bool:
    from scalekit.queue.records import retries_of

    if job.is_done or getattr(error, "final", False):
        return True
    return job.record is None or retries_of(job.record) >= _option(
        job, "max_retries", settings.MAX_RETRIES
    )


def _delay(job: Job, error: BaseException) -> float:
    from scalekit.queue.records import retries_of

    if isinstance(error, Retry) and error.delay is not None:
        return max(0.0, error.delay / 1000)
    least = _option(job, "min_backoff", settings.MIN_BACKOFF * 1000) / 1000
    most = _option(job, "max_backoff", settings.MAX_BACKOFF * 1000) / 1000
    return backoff(0 if job.record is None else retries_of(job.record), least, most)


def _option(job: Job, name: str, default: float) -> float:
    """Return an option of the job from its record: a message may have been written by anyone."""
    value = default if job.record is None else job.record.options.get(name, default)
    return float(value)


def _give_back(broker: Any, message: Any) -> None:
    """Let the broker deliver `message` again. Where it is down too, the message stays unacknowledged here."""
    while True:
        try:
            broker.retry(message, int(AGAIN * 1000))
        except PublishFailed as error:
            logger.warning("Job %s waits: %s", message.message_id, error)
            time.sleep(PAUSE)
        else:
            return
