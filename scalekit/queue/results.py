"""TaskResults: what a record says of its job, as the Tasks framework wants to hear it."""

from __future__ import annotations

import os
import socket
from functools import cache
from traceback import format_exception
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from scalekit.queue.conf import settings
from scalekit.queue.exceptions import MessageRefused, TaskUnknown
from scalekit.queue.frameworks import framework_behind
from scalekit.queue.lanes import queue_of
from scalekit.queue.loading import load_task

if TYPE_CHECKING:
    from scalekit.queue.models import TaskRecord


def stored_result(id_: object, backend: str) -> Any:
    """Return the result with this id of the TASKS backend of this alias; None if there is none.

    Asks each of SCALEKIT_QUEUE_DATABASES in turn, on the primary.
    """
    from scalekit.queue.models import TaskRecord

    try:
        uuid = UUID(str(id_))
    except ValueError:
        return None
    for database in settings.DATABASES:
        rows = TaskRecord.objects.using(database).filter(kind="task", kept=True, backend=backend)
        record = rows.filter(pk=uuid).first()
        if record is not None:
            return result_of(record)
    return None


def result_of(record: TaskRecord, task: Any = None) -> Any:
    """Return the TaskResult of `record`; of `task`, where that is known already.

    Raises `TaskUnknown` or `MessageRefused` where the Task cannot be loaded.
    """
    task = task_of(record) if task is None else task
    base = framework_behind(task).base
    result = base.TaskResult(
        task=task,
        id=str(record.pk),
        status=base.TaskResultStatus(record.status),
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        last_attempted_at=record.last_attempted_at,
        finished_at=record.finished_at,
        args=record.args,
        kwargs=record.kwargs,
        backend=record.backend,
        errors=_errors_of(record, base),
        worker_ids=list(record.worker_ids),
    )
    set_on(result, _return_value=record.return_value)
    return result


def _errors_of(record: TaskRecord, base: Any) -> list[Any]:
    return [
        base.TaskError(
            exception_class_path=error["exception_class_path"], traceback=error["traceback"]
        )
        for error in record.errors
    ]


def task_of(record: TaskRecord) -> Any:
    """Return the Task of `record`, as it was enqueued. Raises `TaskUnknown` and `MessageRefused`."""
    return configured(
        load_task(record.path),
        record.backend,
        priority=record.priority,
        queue_name=record.queue_name,
        run_after=record.run_after,
    )


def configured(task: Any, backend: Any, **changes: Any) -> Any:
    """Return `task` on the TASKS backend of the alias `backend`. Raises `MessageRefused` if it cannot run there."""
    framework = framework_behind(task)
    try:
        found = framework.task_backends[backend] if isinstance(backend, str) else None
    except ImproperlyConfigured as error:
        raise MessageRefused("backend", str(error)) from error
    if not getattr(found, "runs_on_dramatiq", False):
        raise MessageRefused("backend", "The message names no TASKS backend of this kind.")
    wanted = {"backend": backend, **changes}
    if all(getattr(task, name) == value for name, value in wanted.items()):
        return task  # as it was declared, and validated then
    try:
        return task.using(**wanted)
    except framework.exceptions.TaskException as error:
        raise MessageRefused("no task", f"{task.module_path} cannot run here: {error}") from error


def unrecorded_result(task: Any, args: Any, kwargs: Any, message: Any) -> Any:
    """Return the RUNNING result of a job without a record; this attempt is written into the message."""
    base = framework_behind(task).base
    now = timezone.now()
    return base.TaskResult(
        task=task,
        id=message.message_id,
        status=base.TaskResultStatus.RUNNING,
        enqueued_at=message.message_datetime,
        started_at=now,
        last_attempted_at=now,
        finished_at=None,
        args=args,
        kwargs=kwargs,
        backend=task.backend,
        errors=[],
        worker_ids=_with_this_worker(message.options),
    )


def unrecorded_task(path: str, message: Any) -> Any:
    """Return the Task at `path` as `message` wants it. Raises `TaskUnknown` and `MessageRefused`."""
    queue = queue_of(str(message.queue_name))
    return configured(load_task(path), message.options.get("backend"), queue_name=queue)


def announce_enqueued(result: Any) -> None:
    """Send `task_enqueued`; receivers cannot undo that the job is enqueued."""
    _send("task_enqueued", result)


def announce_started(result: Any) -> None:
    _send("task_started", result)


def announce_finished(result: Any, record: TaskRecord | None, error: BaseException | None) -> None:
    """Say how the last attempt ended, and send `task_finished`. Runs inside the worker's ``except`` block."""
    base = framework_behind(result.task).base
    has_failed = error is not None
    if record is not None:
        # Without an error of its own, too: what follows the job could not be sent.
        has_failed = has_failed or record.status == base.TaskResultStatus.FAILED
        set_on(result, finished_at=record.finished_at, errors=_errors_of(record, base))
    else:
        set_on(result, finished_at=timezone.now())
        if error is not None:
            result.errors.append(_shown(error, base))
    status = base.TaskResultStatus
    set_on(result, status=status.FAILED if has_failed else status.SUCCESSFUL)
    _send("task_finished", result)


def announce_given_up(record: TaskRecord) -> None:
    """Send `task_finished` for a job that ended without being run; not if nobody here knows its Task."""
    try:
        result = result_of(record)
    except (TaskUnknown, MessageRefused):
        return
    _send("task_finished", result)


def set_on(result: Any, **values: Any) -> None:
    """Change a frozen TaskResult, as Django's own backends do."""
    for name, value in values.items():
        object.__setattr__(result, name, value)


def _shown(error: BaseException, base: Any) -> Any:
    kind = type(error)
    return base.TaskError(
        exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
        traceback="".join(format_exception(error)),
    )


def _send(signal: str, result: Any) -> None:
    backend = result.task.get_backend()
    signals = framework_behind(result.task).signals
    getattr(signals, signal).send_robust(sender=type(backend), task_result=result)


def _with_this_worker(options: dict[str, Any]) -> list[str]:
    before = options.get("worker_ids", [])
    if not (isinstance(before, list) and all(isinstance(id_, str) for id_ in before)):
        raise MessageRefused("shape", "The message's list of workers is none.")
    options["worker_ids"] = [*before, worker_id(os.getpid())]
    return list(options["worker_ids"])


@cache
def worker_id(pid: int) -> str:
    """Return by which name the process `pid` of this machine stands in records."""
    return f"{socket.gethostname()}:{pid}"
