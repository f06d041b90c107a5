"""How a worker runs a Task: one Dramatiq actor a queue, called with the Task's path and arguments."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ImproperlyConfigured
from dramatiq import Actor

from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.exceptions import MessageRefused
from scalekit.queue.facts import JOB
from scalekit.queue.frameworks import framework_behind
from scalekit.queue.jobs import TASK_ACTOR, Job
from scalekit.queue.lanes import lane_of, lanes_of, order_of
from scalekit.queue.loading import load_task
from scalekit.queue.results import mark_started, running_result, set_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalekit.queue.brokers.base import QueueBroker


__all__ = ["lane_of", "lanes_of", "run_task", "task_actor"]

_declaring = Lock()  # Dramatiq refuses to declare an actor twice


def task_actor(broker: QueueBroker, queue: str) -> str:
    """Return the name of the actor that runs the Tasks of `queue`, one lane of a queue, declared on `broker`."""
    name = f"{TASK_ACTOR}{queue}"
    if name not in broker.actors:
        with _declaring:
            if name not in broker.actors:
                _declare(broker, name, queue)
    return name


def _declare(broker: QueueBroker, name: str, queue: str) -> None:
    Actor(
        run_task,
        broker=broker,
        actor_name=name,
        queue_name=queue,
        priority=order_of(queue),
        options={"throws": MessageRefused},
    )


def run_task(*args: Any, **kwargs: Any) -> None:
    """Run the Task that a message names, once everything in the message has been checked."""
    job = JOB.get()
    if job is None:
        raise MessageRefused("shape", "Task actors run in workers only; call the Task's function.")
    try:
        result = _prepare(Call.read(args, kwargs), job.message)
    except MessageRefused as refusal:
        job.refused = True
        MESSAGE_REFUSED.emit(queue=job.queue, reason=refusal.reason, why=str(refusal))
        raise
    job.result = result
    job.start(result.task.module_path)
    mark_started(result)
    _call(job)


@dataclass(frozen=True, slots=True)
class Call:
    """What a message asks for, its shape checked, its meaning not yet."""

    path: str
    args: list[Any]
    kwargs: dict[str, Any]

    @classmethod
    def read(cls, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Self:
        match args:
            case [str() as path, list() as positional, dict() as named] if not kwargs:
                return cls(path, positional, named)
        raise MessageRefused("shape", "A task's message holds its path, a list and a dict.")


def _prepare(call: Call, message: Any) -> Any:
    task = load_task(call.path)
    framework = framework_behind(task)
    try:
        task = task.using(
            queue_name=message.queue_name, backend=_backend(framework, message.options)
        )
    except framework.exceptions.TaskException as error:
        raise MessageRefused("no task", f"{call.path} cannot run here: {error}") from error
    return running_result(task, call.args, call.kwargs, message)


def _backend(framework: Any, options: Mapping[str, Any]) -> str:
    alias = options.get("backend")
    try:
        backend = framework.task_backends[alias] if isinstance(alias, str) else None
    except ImproperlyConfigured as error:
        raise MessageRefused("backend", str(error)) from error
    if not getattr(backend, "runs_on_dramatiq", False):
        raise MessageRefused("backend", "The message names no TASKS backend of this kind.")
    return str(alias)


def _call(job: Job) -> None:
    result, task = job.result, job.result.task
    base = framework_behind(task).base
    context = [base.TaskContext(task_result=result)] if task.takes_context else []
    value = task.call(*context, *result.args, **result.kwargs)
    try:
        set_on(result, _return_value=base.normalize_json(value))
    except (TypeError, ValueError):
        job.message.options["max_retries"] = 0  # the work is done; doing it again would not help
        raise
