"""What became of a job, in its row: claimed by one worker at a time, finished once, nothing forgotten.

    new_row(task, args, kwargs)          a job that is to be enqueued; `outbox.put` stores it
    claim(job)                           READY -> RUNNING, or SkipMessage: not ours to run
    finish(job, value=...)               RUNNING -> SUCCESSFUL, or FAILED with `error=`
    retry_later(job, error, 15.0)        RUNNING -> READY
    postpone(job, 15.0)                  the same, for a job that did nothing wrong
    fail(id, database, ...)              FAILED, for what never came back

`attempt` is the fence: it grows with each claim, and who no longer holds the latest changes nothing.
"""

from __future__ import annotations

from scalekit.queue.records.rows import new_row
from scalekit.queue.records.states import (
    claim,
    fail,
    finish,
    postpone,
    retries_of,
    retry_later,
    value_of,
)

__all__ = [
    "claim",
    "fail",
    "finish",
    "new_row",
    "postpone",
    "retries_of",
    "retry_later",
    "value_of",
]
