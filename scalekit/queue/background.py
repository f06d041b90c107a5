"""A thread of this process that does something small again and again, while there is something to do."""

from __future__ import annotations

import logging
import os
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from django.db import close_old_connections, connections

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("scalekit.queue")

_IDLE_ROUNDS = 3  # after which the thread ends, and with it its connections


class Background:
    """Calls `work` every `seconds()` after `wake`, until it has had nothing to do for a while.

    `work` tells whether it did anything. The thread starts with the first `wake` in a process, so that a
    worker that needs none has none; it has connections of its own, which end with it.
    """

    def __init__(self, name: str, seconds: Callable[[], float], work: Callable[[], bool]) -> None:
        self._name, self._seconds, self._work = name, seconds, work
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self._runs_in: int | None = None  # the process: a fork has the flag, and not the thread

    def wake(self) -> None:
        """See to it that `work` is called soon. Cheap where the thread runs."""
        if self._runs_in == os.getpid():
            return
        with self._lock:
            if self._runs_in != os.getpid():
                self._runs_in = os.getpid()
                self._stop.clear()
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread, after it has done what there is to do."""
        self._stop.set()
        if self._thread is not None and self._runs_in == os.getpid():
            self._thread.join()

    def _run(self) -> None:
        idle = 0
        try:
            while idle < _IDLE_ROUNDS and not self._stop.wait(self._seconds()):
                idle = 0 if self._did_something() else idle + 1
            self._runs_in = None  # from here on `wake` starts another thread
            # For whom `wake` still saw this one; what has to go on goes on in another.
            if self._did_something() and not self._stop.is_set():
                self.wake()
        finally:
            connections.close_all()

    def _did_something(self) -> bool:
        try:
            close_old_connections()
            return self._work()
        except Exception:  # the thread is the only one that does this
            logger.exception("%s could not do its work; it tries again.", self._name)
            return True
