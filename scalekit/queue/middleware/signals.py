from __future__ import annotations

from typing import Any

from dramatiq import Middleware

from scalekit.queue.facts import JOB
from scalekit.queue.results import announce_finished


class TaskSignals(Middleware):
    """Send `task_finished` when a Task has ended for good: after success, or after its last attempt.

    Runs inside the worker's ``except`` block, so that Django's receiver logs the traceback.
    """

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        job = JOB.get()
        if job is None or job.result is None:
            return
        if job.outcome(exception) in {"succeeded", "failed"}:
            announce_finished(job.result, job.record, exception)
