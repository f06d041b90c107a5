from __future__ import annotations

from typing import Any

from dramatiq import Middleware

from scalekit.queue.events import JOB_FINISHED
from scalekit.queue.facts import JOB
from scalekit.queue.jobs import TASK_ACTOR, Job, Outcome


class Events(Middleware):
    """Announce each job, within its unit of work.

    An actor is named here; a task names itself once its path has proved to be one of ours.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        job = JOB.get()
        if job is not None and not message.actor_name.startswith(TASK_ACTOR):
            job.start(message.actor_name)

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        job = JOB.get()
        if job is not None and not job.is_put_off:
            announce(job, job.outcome(exception))

    def after_skip_message(self, broker: Any, message: Any) -> None:
        job = JOB.get()
        if job is not None:
            announce(job, "skipped")


def announce(job: Job, outcome: Outcome) -> None:
    """Say that `job` is over, and how it went."""
    JOB_FINISHED.emit(
        task=job.task, queue=job.queue, outcome=outcome, duration=job.duration, wait=job.wait
    )
