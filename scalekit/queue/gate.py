"""Whether a worker may take jobs of a queue: none while it drains, and none of a queue that is paused."""

from __future__ import annotations

import threading

from dramatiq.common import q_name

from scalekit.queue.lanes import queue_of


class Gate:
    """Shared by the threads that take jobs; shut until somebody has said which queues are paused."""

    def __init__(self) -> None:
        self._paused: frozenset[str] | None = None
        self._draining = False
        self._changed = threading.Condition()

    def pause(self, queues: frozenset[str]) -> None:
        """Let no jobs of `queues` in, and those of all others."""
        self._paused = queues
        self._tell()

    def drain(self) -> None:
        """Let nothing in any more."""
        self._draining = True
        self._tell()

    def wait(self, timeout: float) -> None:
        """Wait until somebody has said what is paused, for `timeout` seconds at the most."""
        with self._changed:
            self._changed.wait(timeout)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def is_shut(self, lane: str) -> bool:
        """Tell whether the jobs of a queue of the broker have to stay there."""
        if self._draining or self._paused is None:
            return True
        return bool(self._paused) and queue_of(q_name(lane)) in self._paused
