"""How many jobs a worker takes from the broker: what its threads can begin soon, and no more.

Dramatiq's worker holds twice as many as it has threads, whatever they are. Of jobs that take a minute, that
keeps half from every other process, for a minute. Of short ones it is needed, or threads wait for the broker.
"""

from __future__ import annotations

import threading
from queue import PriorityQueue
from typing import Any

SOON = 0.1  # seconds within which a job that is held should be begun
WEIGHT = 0.2  # of the last job in the mean


class WorkQueue(PriorityQueue[Any]):
    """Dramatiq's work queue, which tells when a job has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def task_done(self) -> None:
        super().task_done()
        with self.changed:
            self.changed.notify_all()


class Appetite:
    """How many more jobs may be taken, by how many there are and how long the last ones took."""

    def __init__(self, threads: int, work: WorkQueue) -> None:
        self._threads, self._work = threads, work
        self._mean = 0.0  # seconds of a job; 0 as long as none has ended

    def ended(self, seconds: float) -> None:
        """Take note of how long a job took."""
        self._mean = self._mean + WEIGHT * (seconds - self._mean) if self._mean else seconds

    @property
    def reserve(self) -> int:
        """How many jobs may wait here for a thread."""
        if not self._mean:
            return 0
        return min(self._threads, int(self._threads * SOON / self._mean))

    def room(self) -> int:
        """Return how many more to take; 0 also while it is too few to be worth a round trip."""
        reserve = self.reserve
        room = self._threads + reserve - self._work.unfinished_tasks
        return room if room >= max(1, reserve // 2) else 0

    def wait(self, timeout: float) -> None:
        """Wait until a job has ended, for `timeout` seconds at the most."""
        with self._work.changed:
            if not self.room():
                self._work.changed.wait(timeout)
