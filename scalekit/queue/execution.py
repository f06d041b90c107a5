"""How a worker runs a Task: one Dramatiq actor a lane, called with the Task's path and arguments."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from dramatiq import Actor

from scalekit.queue import cancelling
from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.exceptions import MessageRefused, NotKeepable
from scalekit.queue.facts import JOB
from scalekit.queue.frameworks import framework_behind
from scalekit.queue.jobs import TASK_ACTOR, Job
from scalekit.queue.lanes import lane_of, lanes_of, order_of
from scalekit.queue.results import (
    announce_started,
    result_of,
    set_on,
    unrecorded_result,
    unrecorded_task,
)
from scalekit.queue.storable import is_storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalekit.queue.brokers.base import QueueBroker


__all__ = ["lane_of", "lanes_of", "run_task", "task_actor"]

_declaring = Lock()  # Dramatiq refuses to declare an actor twice


def task_actor(broker: QueueBroker, lane: str) -> str:
    """Return the name of the actor that runs the Tasks of `lane`, declared on `broker`."""
    name = f"{TASK_ACTOR}{lane}"
    if name not in broker.actors:
        with _declaring:
            if name not in broker.actors:
                _declare(broker, name, lane)
    return name


def _declare(broker: QueueBroker, name: str, lane: str) -> None:
    Actor(
        run_task,
        broker=broker,
        actor_name=name,
        queue_name=lane,
        priority=order_of(lane),
        options={"throws": MessageRefused},
    )


def run_task(*args: Any, **kwargs: Any) -> None:
    """Run the Task that a message, or its record, names, once everything in it has been checked."""
    job = JOB.get()
    if job is None:
        raise MessageRefused("shape", "Task actors run in workers only; call the Task's function.")
    try:
        job.result = _prepare(job, args, kwargs)
    except MessageRefused as refusal:
        job.refused = True
        MESSAGE_REFUSED.emit(queue=job.queue, reason=refusal.reason, why=str(refusal))
        raise
    job.start(job.result.task.module_path)
    announce_started(job.result)
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


def _prepare(job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the RUNNING result of `job`. What a record says counts, and not what its message says."""
    if job.refusal is not None:
        raise job.refusal
    if job.record is not None:
        return result_of(job.record)
    call = Call.read(args, kwargs)
    task = unrecorded_task(call.path, job.message)
    return unrecorded_result(task, call.args, call.kwargs, job.message)


def _call(job: Job) -> None:
    result, task = job.result, job.result.task
    base = framework_behind(task).base
    context = [base.TaskContext(task_result=result)] if task.takes_context else []
    value = cancelling.call(job, task, *context, *result.args, **result.kwargs)
    try:
        set_on(result, _return_value=_normalised(job, base, value))
    except (TypeError, ValueError):
        job.is_done = True  # doing the work again would not help
        raise


def _normalised(job: Job, base: Any, value: Any) -> Any:
    normalised = base.normalize_json(value)
    if job.record is not None and normalised is not None and not is_storable(normalised):
        raise NotKeepable
    return normalised
