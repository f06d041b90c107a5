"""TaskResults: made when a Task is enqueued, and again in the worker that runs it.

Nothing is stored yet, so the two know of each other only what travels in the message.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from traceback import format_exception
from typing import Any
from uuid import uuid4

from django.utils import timezone

from scalekit.queue.exceptions import MessageRefused
from scalekit.queue.frameworks import framework_behind


def new_result(task: Any, args: Any, kwargs: Any) -> Any:
    """Return the READY result of `task`, with an id. Raises TypeError for what JSON cannot hold."""
    base = framework_behind(task).base
    return base.TaskResult(
        task=task,
        id=str(uuid4()),
        status=base.TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=args,
        kwargs=kwargs,
        backend=task.backend,
        errors=[],
        worker_ids=[],
    )


def running_result(task: Any, args: Any, kwargs: Any, message: Any) -> Any:
    """Return the RUNNING result of `task` as `message` asks for it; this attempt is written into the message."""
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


def mark_enqueued(result: Any) -> None:
    """Say when the job went out, and send `task_enqueued`; its receivers cannot undo that any more."""
    set_on(result, enqueued_at=timezone.now())
    _send("task_enqueued", result)


def mark_started(result: Any) -> None:
    _send("task_started", result)


def finish(result: Any, error: BaseException | None) -> None:
    """Say how the last attempt ended, and send `task_finished`."""
    base = framework_behind(result.task).base
    status = base.TaskResultStatus.SUCCESSFUL if error is None else base.TaskResultStatus.FAILED
    set_on(result, finished_at=timezone.now(), status=status)
    if error is not None:
        kind = type(error)
        result.errors.append(
            base.TaskError(
                exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
                traceback="".join(format_exception(error)),
            )
        )
    _send("task_finished", result)


def set_on(result: Any, **values: Any) -> None:
    """Change a frozen TaskResult, as Django's own backends do."""
    for name, value in values.items():
        object.__setattr__(result, name, value)


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
    return f"{socket.gethostname()}:{pid}"
