"""Where coroutine functions load again while the old value is served: on the loop of whoever found it due.

A loop may end with its request: under WSGI each call of `async_to_sync` makes one. There a background thread does it, on
a loop of its own; it also does once more what the end of any other loop has interrupted.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import AsyncToSync, async_to_sync

from scalekit.cache.conf import settings
from scalekit.cache.stampede.background import background

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable, Coroutine

    Job = Callable[[], Coroutine[Any, Any, Any]]
    End = Callable[[], None]


class LoopBackground:
    """At most `REFRESH_THREADS` tasks on each loop."""

    def __init__(self) -> None:
        self._running: set[Task[Any]] = set()  # the loop itself keeps no task alive

    def submit(self, job: Job, end: End) -> asyncio.Future[Any] | None:
        """Run `job`, or return None if there is enough to do already; `end` is called when it is over."""
        loop = asyncio.get_running_loop()
        if (
            loop in AsyncToSync.loop_thread_executors
        ):  # one that ends with the call for which it was made
            return _submit_to_thread(job, end)
        mine = [task for task in list(self._running) if task.get_loop() is loop]
        if len(mine) >= settings.REFRESH_THREADS:
            return None
        task = loop.create_task(job())
        self._running.add(task)
        task.add_done_callback(partial(self._ended, job, end))
        return task

    def _ended(self, job: Job, end: End, task: Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            if background.submit(partial(_run, job, end, Future())):
                return
        else:
            task.exception()  # seen
        end()


def _submit_to_thread(job: Job, end: End) -> asyncio.Future[Any] | None:
    landed: Future[Any] = Future()
    landed.set_running_or_notify_cancel()  # whoever waits for it cannot cancel it
    if not background.submit(partial(_run, job, end, landed)):
        return None
    return asyncio.wrap_future(landed)


def _run(job: Job, end: End, landed: Future[Any]) -> None:
    try:
        # Not asyncio.run: thus the queries of the job run in this thread, which closes their connections.
        landed.set_result(async_to_sync(job)())
    except BaseException:
        landed.set_result(None)  # the stale value is served on
        raise
    finally:
        end()


loop_background = LoopBackground()
