"""The sign of life of a process that holds messages, whatever its other threads do."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from scalekit.queue.exceptions import BrokerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("scalekit.queue")

AGAIN = 1.0  # seconds after a beat that did not arrive


class Heartbeat:
    """A thread that calls `beat` with the queues of this process every `interval` seconds, at once the first time.

    It needs the GIL, as all threads do: a job that keeps it (C code that does not release it) for longer
    than the broker waits is taken for dead.
    """

    def __init__(
        self, beat: Callable[[list[str]], object], interval: float, timeout: float
    ) -> None:
        self._beat, self._interval, self._timeout = beat, interval, timeout
        self._arrived = time.monotonic()
        self._silent_until = 0.0  # until when this process may have been dead to others
        self._queues: set[str] = set()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, queue: str) -> None:
        """Look after `queue` as well, from now on."""
        with self._lock:
            if queue not in self._queues:
                self._queues.add(queue)
                self._changed.set()
            if self._thread is None:
                self._stopped, self._arrived = False, time.monotonic()
                self._thread = threading.Thread(target=self._run, name="queue-beat", daemon=True)
                self._thread.start()

    def vouches_for(self, fetched: float) -> bool:
        """Tell whether nobody can have taken away what was fetched at `fetched`, by `time.monotonic`."""
        lives = time.monotonic() - self._arrived < self._timeout
        return lives and fetched > self._silent_until

    def stop(self) -> None:
        """Beat no more, and wait for the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopped = True
            self._changed.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        arrived = True
        while not self._stopped:
            arrived = self._try(arrived)
            self._changed.wait(self._interval if arrived else min(AGAIN, self._interval))
            self._changed.clear()  # before it is looked at what has changed

    def _try(self, arrived_before: bool) -> bool:
        with self._lock:
            queues = sorted(self._queues)
        try:
            self._beat(queues)
        except BrokerUnreachable as error:
            if arrived_before:
                logger.warning("Signs of life of this worker do not arrive: %s", error)
            return False
        except Exception:  # whatever it is: without this thread the process is dead to others
            logger.exception("The sign of life of this worker failed.")
            return False
        now = time.monotonic()
        if now - self._arrived >= self._timeout:
            self._silent_until = now
        self._arrived = now
        return True
