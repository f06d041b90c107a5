"""For how long a job may run.

A thread is interrupted by an exception that Python raises in it once it runs Python code again: a call into C
that does not return (a query, a socket without a timeout) is not ended by it. A coroutine is cancelled where it
awaits, so one that never does is not ended either, nor one that swallows its cancellation.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import TimeLimit, TimeLimitExceeded

from scalekit.queue.conf import settings
from scalekit.queue.facts import JOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.jobs import Job


class TimeLimits(TimeLimit):
    """Dramatiq's TimeLimit with the limit of our settings, which may be lifted from a thread."""

    def before_process_message(self, broker: Any, message: Any) -> None:
        self.time_limit = settings.TIME_LIMIT * 1000
        super().before_process_message(broker, message)  # type: ignore[no-untyped-call]  # Dramatiq has no types here
        job = JOB.get()
        if job is not None:
            job.lift_limit = partial(self.manager.remove_timeout, get_ident())


def bounded(job: Job, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the coroutine function `function` under the time limit of `job`, which its thread is relieved of.

    The thread only waits for the coroutine, deaf to interrupts.
    """

    async def run(*args: Any, **kwargs: Any) -> Any:
        job.lift_limit()
        limit = seconds_of(job)
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                return await function(*args, **kwargs)
        except TimeoutError as error:
            if clock.expired():
                raise TimeLimitExceeded(f"The task ran for {limit:g} seconds.") from error
            raise

    return run


def seconds_of(job: Job) -> float | None:
    """Return the time limit of `job` in seconds; None if it has none."""
    limit = job.message.options.get("time_limit") or settings.TIME_LIMIT * 1000
    return None if limit == math.inf else float(limit) / 1000
