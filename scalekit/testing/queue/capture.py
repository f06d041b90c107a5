"""See which jobs were enqueued, without running them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from dramatiq import Middleware

from scalekit.queue.checks import our_backends
from scalekit.queue.events import JOB_STORED
from scalekit.queue.jobs import TASK_ACTOR

from .brokers import memory_broker
from .fates import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from scalekit.core.events import Event
    from scalekit.queue.models import TaskRecord


@dataclass(frozen=True, slots=True)
class CapturedJob:
    """One job that was enqueued: what it runs, with what, and where it lies."""

    id: str
    task: str  # the dotted path of the Task, or the name of the actor
    args: list[Any]
    kwargs: dict[str, Any]
    queue_name: str
    priority: int
    run_after: datetime | None
    record: bool  # whether anything is kept of it
    database: (
        str  # empty for what an actor sent outside a transaction: that lies in the broker alone
    )

    def __str__(self) -> str:
        given = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"{self.task}({', '.join(given)})"

    def is_for(self, task: Any) -> bool:
        """Tell whether it runs `task`: a Task, an actor or the name of one."""
        return self.task == name_of(task)


def name_of(task: Any) -> str:
    """Return the name under which a Task or an actor is stored."""
    if isinstance(task, str):
        return task
    return str(getattr(task, "module_path", None) or task.actor_name)


class CapturedJobs(Sequence[CapturedJob]):
    """The jobs that a worker would get, in the order in which they were enqueued.

    A job is in it once every `atomic()` of the code around `enqueue()` has ended; one that was rolled back
    never is. The transaction of a `TestCase` does not count.
    """

    def __init__(self) -> None:
        self._captured: list[tuple[CapturedJob, Fate | None]] = []

    def _receive(self, _event: Event, payload: dict[str, Any]) -> None:
        row: TaskRecord = payload["record"]
        database = str(payload["database"])
        job = CapturedJob(
            id=str(row.pk),
            task=row.path,
            args=list(row.args),
            kwargs=dict(row.kwargs),
            queue_name=row.queue_name,
            priority=row.priority,
            run_after=row.run_after,
            record=row.kept,
            database=database,
        )
        self._captured.append((job, Fate.of(database)))

    def _overhear(self, message: Any) -> None:
        """Take what went to the broker past every database."""
        known = any(job.id == message.message_id for job, _ in self._captured)
        if known or message.actor_name.startswith(TASK_ACTOR):
            return
        job = CapturedJob(
            id=str(message.message_id),
            task=message.actor_name,
            args=list(message.args),
            kwargs=dict(message.kwargs),
            queue_name=message.queue_name,
            priority=0,
            run_after=None,
            record=False,
            database="",
        )
        self._captured.append((job, None))

    def _sent(self) -> list[CapturedJob]:
        return [job for job, fate in self._captured if fate is None or fate.is_sealed]

    @property
    def held_back(self) -> list[CapturedJob]:
        """Those that wait for an `atomic()` of the code that is still open."""
        return [job for job, fate in self._captured if fate is not None and fate.is_open]

    @overload
    def __getitem__(self, index: int) -> CapturedJob: ...
    @overload
    def __getitem__(self, index: slice) -> list[CapturedJob]: ...
    def __getitem__(self, index: int | slice) -> CapturedJob | list[CapturedJob]:
        return self._sent()[index]

    def __len__(self) -> int:
        return len(self._sent())

    def __repr__(self) -> str:
        return f"[{', '.join(map(str, self))}]"

    def of(self, task: Any) -> list[CapturedJob]:
        """Return those that run `task`: a Task, an actor, or the name of one."""
        return [job for job in self if job.is_for(task)]

    def assert_enqueued(self, task: Any, *args: Any, **kwargs: Any) -> CapturedJob:
        """Return the one job of `task` with these arguments. Raises AssertionError if there is none, or several."""
        wanted = json.loads(json.dumps([args, kwargs]))  # a tuple travels as a list
        found = [job for job in self.of(task) if [job.args, job.kwargs] == wanted]
        if len(found) == 1:
            return found[0]
        given = [*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
        call = f"{name_of(task)}({', '.join(given)})"
        how_often = f"{len(found)} times" if found else "not"
        raise AssertionError(f"{call} was enqueued {how_often}. {self._what_was()}")

    def assert_none(self, task: Any = None) -> None:
        """Raise AssertionError if any job, or any of `task`, was enqueued."""
        found = list(self) if task is None else self.of(task)
        if found:
            raise AssertionError(f"Enqueued: {', '.join(map(str, found))}.")

    def _what_was(self) -> str:
        if self.held_back:
            waiting = ", ".join(map(str, self.held_back))
            return f"Of a transaction that is still open: {waiting}."
        if not len(self) and not our_backends():
            return "No job was; no entry of TASKS in these settings is scalekit's."
        return f"Enqueued: {', '.join(map(str, self)) or 'no job at all'}."


@contextmanager
def captured_jobs() -> Iterator[CapturedJobs]:
    """Give the jobs that are enqueued inside the block; they go to a broker in memory, and nothing runs them.

    with captured_jobs() as jobs:
        self.client.post("/photos/", ...)
    jobs.assert_enqueued(make_thumbnail, photo.id)
    """
    jobs = CapturedJobs()
    ear = _Ear(jobs._overhear)  # noqa: SLF001 - our own
    with memory_broker() as broker:
        broker.add_middleware(ear)
        end = JOB_STORED.subscribe(jobs._receive)  # noqa: SLF001 - our own
        try:
            yield jobs
        finally:
            end()
            broker.middleware.remove(ear)


class _Ear(Middleware):
    """Tells of each message that goes to the broker."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._tell = tell

    def after_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:  # noqa: ARG002 - the hook's
        self._tell(message)


@contextmanager
def assert_enqueued(task: Any, *args: Any, **kwargs: Any) -> Iterator[CapturedJobs]:
    """Raise AssertionError unless the block enqueues exactly one job of `task` with these arguments."""
    with captured_jobs() as jobs:
        yield jobs
    jobs.assert_enqueued(task, *args, **kwargs)
