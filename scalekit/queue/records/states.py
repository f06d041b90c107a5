"""From one state of a job to the next."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from traceback import format_exception
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.events import COMPLETION_REJECTED, JOB_TAKEN_OVER
from scalekit.queue.exceptions import MessageRefused, TaskCancelled, WorkerDied
from scalekit.queue.leases import held
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.records.answers import claimed
from scalekit.queue.records.steps import KEPT_ERRORS, Claimed, Ended, Ending
from scalekit.queue.records.store import endings, insisting, is_outage
from scalekit.queue.records.writing import write
from scalekit.queue.results import announce_given_up

if TYPE_CHECKING:
    from collections.abc import Collection

    from scalekit.queue.jobs import Job, Outcome

logger = logging.getLogger("scalekit.queue")

LONGEST_TRACEBACK = 20_000  # characters; the end says most


def claim(job: Job) -> None:
    """Make the job of `job.message` this worker's, and set `job.record`.

    Raises SkipMessage where it is finished, gone, or another worker's; `MessageRefused` for a message that
    names no record of ours; `StoreUnreachable` while the database is down, and then the message is to be
    delivered again.
    """
    database, id_ = _place_of(job)
    answer = claimed(job, database, id_)
    if answer.record is None or not answer.is_ours:
        raise _skip(f"The job is {answer.verdict}.")
    if answer.record.deaths and answer.verdict != "begin":
        _announce_takeover(job, answer)
    if not answer.may_run:
        _give_up(job, TaskCancelled() if answer.verdict == "cancelled" else WorkerDied())


def finish(job: Job, *, value: Any = None, error: BaseException | None = None) -> bool:
    """Say how `job` ended for good; False where it is no longer this worker's to say."""
    status = Status.SUCCESSFUL if error is None else Status.FAILED
    fields = {"return_value": value} if error is None else {}
    record = _record_of(job)
    ending = Ending(record, {**final_fields(status), **fields, **_progress(job)}, shown(error))
    return _end(job, ending, "succeeded" if error is None else "failed")


def retry_later(job: Job, error: BaseException, delay: float) -> bool:
    """Make `job` READY again, to be run in `delay` seconds, and keep `error`; False as `finish`."""
    ending = Ending(_record_of(job), {**_ready_in(delay), **_progress(job)}, shown(error), False)
    return _end(job, ending, "retrying")


def postpone(job: Job, delay: float) -> bool:
    """Make `job` READY again, to be run in `delay` seconds; the attempt does not count; False as `finish`."""
    record = _record_of(job)
    uncounted = {"forgiven": record.forgiven + 1, "worker_ids": record.worker_ids[:-1]}
    ending = Ending(record, {**_ready_in(delay), **uncounted}, is_final=False)
    return _end(job, ending, "skipped")


def fail(
    id: UUID,  # noqa: A002 - as in the table
    database: str,
    *,
    exception_class_path: str,
    message: str,
    only_if: Collection[str] = (Status.READY, Status.RUNNING),
) -> bool:
    """Make the job `id` of `database` FAILED, whoever has it; False unless its status was one of `only_if`."""
    error = {"exception_class_path": exception_class_path, "traceback": _keepable(message)}
    with transaction.atomic(using=database):
        rows = TaskRecord.objects.using(database).filter(pk=id)
        record = rows.select_for_update().annotate(now=Now()).first()
        if record is None or record.status not in only_if:
            return False
        ending = Ending(record, final_fields(Status.FAILED), error)
        _write_outright(ending, database)
        transaction.on_commit(lambda: announce_given_up(record), using=database)
    return True


def retries_of(record: TaskRecord) -> int:
    """Return how many retries of `record` count, once its latest attempt has failed."""
    return record.attempt - 1 - record.forgiven - record.deaths


def value_of(job: Job) -> Any:
    """Return what the task of `job` has returned, as JSON."""
    return None if job.result is None else job.result._return_value  # noqa: SLF001 - Django's backends set it


def final_fields(status: Status) -> dict[str, Any]:
    """Return what a row says once its job has ended for good."""
    success = status == Status.SUCCESSFUL
    keep = settings.KEEP_SUCCESSFUL_SECONDS if success else settings.KEEP_FAILED_SECONDS
    return {
        "status": status,
        "finished_at": Now(),
        "expires_at": None if keep is None else Now() + timedelta(seconds=keep),
        "unique_key": None,
    }


def shown(error: BaseException | None) -> dict[str, str] | None:
    """Return what a row keeps of `error`."""
    if error is None:
        return None
    kind = type(error)
    return {
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": _keepable("".join(format_exception(error))),
    }


def _keepable(text: str) -> str:
    """Return the end of `text` without what no column of PostgreSQL holds."""
    without = text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
    return without[-LONGEST_TRACEBACK:]


def _ready_in(delay: float) -> dict[str, Any]:
    due = Now() + timedelta(seconds=delay)
    return {"status": Status.READY, "publish_at": due, "run_after": due}


def _progress(job: Job) -> dict[str, Any]:
    return {} if job.progress is None else {"progress": job.progress}


def _place_of(job: Job) -> tuple[str, UUID]:
    database = job.database
    if database not in settings.DATABASES:
        raise MessageRefused(
            "database", "The message names no database of SCALEKIT_QUEUE_DATABASES."
        )
    try:
        return database, UUID(str(job.message.message_id))
    except ValueError as error:
        raise MessageRefused("shape", "The id of a recorded job is a UUID.") from error


def _record_of(job: Job) -> TaskRecord:
    if job.record is None:
        msg = f"Job {job.message.message_id} has no record, or is not claimed: nothing can be written into it."
        raise ValueError(msg)
    return job.record


def _end(job: Job, ending: Ending, outcome: Outcome) -> bool:
    """Write `ending`, however long that takes; the lease is held until then."""
    database = str(job.database)
    if ending.sets_off_others:
        ended = insisting(database, lambda: _end_with_others(ending, database))
    else:
        ended = insisting(database, lambda: endings.submit(database, ending))
    if ended.verdict == "cancelled":
        return finish(job, error=TaskCancelled())
    return note(job, ending, ended, outcome)


def note(job: Job, ending: Ending, ended: Ended, outcome: Outcome) -> bool:
    """Let `job`, and its row in memory, know what came of `ending`; False where that was not its worker's to say."""
    held.discard(job)
    if ended.verdict == "late":
        job.ending = "late"
        COMPLETION_REJECTED.emit(task=job.task, queue=job.queue, id=str(ending.id))
        return False
    _remember(ending.record, ended)
    # One that succeeded is a dead letter all the same where what follows it could not be sent.
    job.ending = "failed" if ending.record.status == Status.FAILED else outcome
    return True


def _end_with_others(ending: Ending, database: str) -> Ended:
    from scalekit.queue.flows.members import count_quickly

    try:
        counted = count_quickly(ending, database)
    except Exception as error:
        if is_outage(error):
            raise
        counted = None  # of those that were written together, one cannot be: find out which
    return counted or _end_alone(ending, database)


def _end_alone(ending: Ending, database: str) -> Ended:
    """End a job that others wait for: in its own unit of work, whose facts they inherit."""
    with transaction.atomic(using=database):
        ended = cast("Ended", write(database, [ending])[0])
        if ended.verdict == "written":
            record = ending.record
            _remember(record, ended)
            _advance(record, database)
            says = {"status": record.status, "errors": record.errors}
            ended = replace(ended, fields={**ended.fields, **says})
    return ended


def _advance(record: TaskRecord, database: str) -> None:
    """Send what follows. A job for which that cannot be done is a dead letter: who runs it again tries it again."""
    from scalekit.queue.flows import advance

    try:
        with transaction.atomic(using=database):
            advance(record, using=database)
    except Exception as error:
        if is_outage(error):
            raise
        logger.exception(
            "What follows job %s (%s) cannot be sent: the job is a dead letter",
            record.pk,
            record.path,
        )
        succeeded = record.status == Status.SUCCESSFUL
        _bury(record, error, database)
        if succeeded:
            _advance(record, database)  # as one that failed: its group is waiting for it


def _bury(record: TaskRecord, error: Exception, database: str) -> None:
    """Make a job that has just ended a dead letter that tells of `error`."""
    at = record.finished_at.isoformat() if record.finished_at else ""
    errors = [*record.errors, {**(shown(error) or {}), "at": at}]
    fields = {**final_fields(Status.FAILED), "errors": errors[-KEPT_ERRORS:]}
    TaskRecord.objects.using(database).filter(pk=record.pk).update(**fields)
    record.status, record.errors = Status.FAILED, fields["errors"]


def _write_outright(ending: Ending, database: str) -> None:
    """Write `ending` of a row that is locked, and fence off the worker that may still run it."""
    record = ending.record
    ended = Ended("written", ending.fields_at(record.now), record.now)  # type: ignore[attr-defined]  # annotated
    TaskRecord.objects.using(database).filter(pk=record.pk).update(
        **{"publish_at": None, "leased_until": None, **ended.fields},
        attempt=F("attempt") + 1,
        publications=F("publications") + 1,
    )
    _remember(record, ended)
    if ending.sets_off_others:
        _advance(record, database)


def _remember(record: TaskRecord, ended: Ended) -> None:
    """Let the row in memory say what the one in the database says."""
    for name, value in ended.fields.items():
        if not hasattr(
            value, "resolve_expression"
        ):  # what the database computes is not needed here
            setattr(record, name, value)
    record.leased_until = None
    if "finished_at" in ended.fields:
        record.finished_at = ended.at


def _give_up(job: Job, error: BaseException) -> None:
    if finish(job, error=error):
        announce_given_up(_record_of(job))
    raise _skip(str(error))


def _skip(why: str) -> Exception:
    from dramatiq.middleware import SkipMessage

    return SkipMessage(why)


def _announce_takeover(job: Job, answer: Claimed) -> None:
    outcome = "begun again" if answer.may_run else "given up"
    record = _record_of(job)
    JOB_TAKEN_OVER.emit(
        task=record.path, queue=record.queue_name, outcome=outcome, id=str(record.pk)
    )
