"""Where values are loaded again while the old ones are served: a few threads, or the project's task workers."""

from __future__ import annotations

import os
import queue
import sys
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
        return self._start() if is_new else True

    def _start(self) -> bool:
        try:
            threading.Thread(target=self._work, name="scalekit-cache-refresh", daemon=True).start()
        except RuntimeError:  # the interpreter ends
            with self._lock:
                self._threads -= 1
            return False
        return True

    def _work(self) -> None:
        while True:
            _survive(self._jobs.get())


def _survive(job: Job) -> None:
    """Run `job`, whose end is not that of the thread: not by SystemExit either, nor by an interrupted coroutine."""
    try:
        in_own_thread(job)
    except Exception:  # noqa: BLE001 - told as if it had ended the thread
        kind, error, trace = sys.exc_info()
        thread = threading.current_thread()
        threading.excepthook(threading.ExceptHookArgs((kind or Exception, error, trace, thread)))
    except BaseException:  # noqa: BLE001 - Python says nothing of a thread that ends by SystemExit
        return


def in_own_thread(job: Job) -> None:
    """Run `job`; leave no connection to a database behind that nobody would close."""
    try:
        job()
    finally:
        connections.close_all()


background = Background()
