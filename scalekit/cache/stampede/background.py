"""Where values are loaded again while the old ones are served: a few threads, or the project's task workers."""

from __future__ import annotations

import os
import queue
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.cache.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], Any]

_WAITING = (
    100  # jobs that may wait for a thread; a value that is not refreshed is served all the same
)


class Background:
    """Threads that are started when there is work and end with the process."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._jobs: queue.Queue[Job] = queue.Queue(_WAITING)
        self._threads = 0
        self._lock = threading.Lock()

    def submit(self, job: Job) -> bool:
        """Run `job` in the context of the caller; False if there is too much to do already."""
        context = copy_context()
        try:
            self._jobs.put_nowait(lambda: context.run(job))
        except queue.Full:
            return False
        with self._lock:
            is_new = self._threads < settings.REFRESH_THREADS
            self._threads += is_new
        if is_new:
            threading.Thread(target=self._work, name="scalekit-cache-refresh", daemon=True).start()
        return True

    def _work(self) -> None:
        while True:
            in_own_thread(self._jobs.get())


def in_own_thread(job: Job) -> None:
    """Run `job`; leave no connection to a database behind that nobody would close."""
    try:
        job()
    finally:
        connections.close_all()


background = Background()
