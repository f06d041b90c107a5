"""Whether a worker may take jobs of a queue: none while it drains, and none of a queue that is paused."""

from __future__ import annotations

from dramatiq.common import q_name

from scalekit.queue.lanes import queue_of


class Gate:
    """Shared by the threads that take jobs; shut until somebody has said which queues are paused."""

    def __init__(self) -> None:
        self._paused: frozenset[str] | None = None
        self._draining = False

    def pause(self, queues: frozenset[str]) -> None:
        """Let no jobs of `queues` in, and those of all others."""
        self._paused = queues

    def drain(self) -> None:
        """Let nothing in any more."""
        self._draining = True

    def is_shut(self, lane: str) -> bool:
        """Tell whether the jobs of a queue of the broker have to stay there."""
        if self._draining or self._paused is None:
            return True
        return bool(self._paused) and queue_of(q_name(lane)) in self._paused
