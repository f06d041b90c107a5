"""What the supervisor knows right now, as values that other threads may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalekit.queue.brokers.base import QueueStats
    from scalekit.queue.supervisor.sights import Rows


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at everything. What could not be seen lately is None: `queues` the broker, `rows` the databases.

    `ready`, `starting` and `draining` count processes, `running` the jobs that their threads are busy with.
    """

    queues: dict[str, QueueStats] | None = None
    rows: Rows | None = None
    ready: int = 0
    starting: int = 0
    draining: int = 0
    wanted: int = 0
    running: int = 0
    threads: int = 0
    stopping: bool = False

    @property
    def latency(self) -> float | None:
        """Seconds that the oldest waiting job of any queue has waited, 0 where none waits, None if nobody can tell."""
        if self.queues is None:
            return None
        waiting = [stats for stats in self.queues.values() if stats.ready]
        known = [stats.waited for stats in waiting if stats.waited is not None]
        return max(known, default=None if waiting else 0.0)

    @property
    def depth(self) -> int | None:
        """Jobs that wait in the broker."""
        if self.queues is None:
            return None
        return sum(stats.ready for stats in self.queues.values())

    @property
    def by_queue(self) -> dict[str, dict[str, Any]]:
        """What is known of each queue."""
        return {name: self._of(name, stats) for name, stats in (self.queues or {}).items()}

    def _of(self, queue: str, stats: QueueStats) -> dict[str, Any]:
        return {
            "latency_seconds": stats.waited if stats.ready else 0.0,
            "waiting": stats.ready,
            "delayed": stats.delayed,
            "in_flight": stats.in_flight,
            "dead": stats.dead + (self.rows.dead.get(queue, 0) if self.rows else 0),
        }

    @property
    def as_json(self) -> dict[str, Any]:
        """The answer of ``/scale``."""
        return {
            "latency_seconds": self.latency,
            "depth": self.depth,
            "processes": self.ready + self.starting,
            "wanted_processes": self.wanted,
            "threads": self.threads,
            "running": self.running,
            "outbox_age_seconds": None if self.rows is None else self.rows.oldest_due,
            "queues": self.by_queue,
        }
