"""A job: one message while a worker has it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from scalekit.queue.events import JOB_STARTED
from scalekit.queue.lanes import queue_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.models import TaskRecord

Outcome = Literal["succeeded", "retrying", "failed", "refused", "skipped", "late"]

TASK_ACTOR = "scalekit.task."  # followed by the queue: the actor that runs the Tasks of that queue
UNKNOWN = "unknown"


def milliseconds() -> int:
    return int(time.time() * 1000)


class Job:
    """What the middleware and the task share about one attempt.

    `task` names it for counting. It stays ``unknown`` until the name is known to be one of ours, so that
    nobody who can write messages can make up metrics. `wait` is the seconds between the last publishing
    and now, by the clocks of two machines, and never below 0.
    """

    def __init__(self, message: Any) -> None:
        self.message = message
        self.task = UNKNOWN
        self.record: TaskRecord | None = None  # its row, where it has one
        self.result: Any = None  # the TaskResult, where the job is a Task
        self.progress: dict[str, Any] | None = None  # to be written with whatever comes next
        self.ending: Outcome | None = None  # what its row says of this attempt by now
        self.is_put_off = False  # to write how it ended: that, and what follows, comes later
        self.is_done = False  # its work is, whatever becomes of the result
        self.refusal: Exception | None = None  # why it must not be run, found before it could be
        self.refused = False
        self.lift_limit: Callable[[], object] = lambda: None  # from the thread, of its time limit
        self.began = time.perf_counter()
        self.wait = _seconds_since(message.options.get("published_at"))

    @property
    def queue(self) -> str:
        """The queue, whichever of its lanes the message came by."""
        return queue_of(str(self.message.queue_name))

    @property
    def database(self) -> str | None:
        """The alias of the database that has its row; None where there is no row."""
        alias = self.message.options.get("database")
        return alias if isinstance(alias, str) else None

    @property
    def duration(self) -> float:
        """Seconds since the attempt began."""
        return round(time.perf_counter() - self.began, 6)

    def start(self, task: str) -> None:
        """Take the name under which this job is counted, and announce it."""
        self.task = task
        JOB_STARTED.emit(task=task, queue=self.queue, wait=self.wait)

    def outcome(self, error: BaseException | None) -> Outcome:
        """Say how the attempt ended, once the retries have been decided on."""
        if self.refused:
            return "refused"
        if self.ending:
            return self.ending
        if self.message.failed:
            return "failed"
        return "succeeded" if error is None else "retrying"


def _seconds_since(published: Any) -> float:
    if isinstance(published, bool) or not isinstance(published, (int, float)):
        return 0.0
    return max(0.0, round((milliseconds() - published) / 1000, 3))
