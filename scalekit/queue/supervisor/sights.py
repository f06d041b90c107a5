"""What waits in the queues, looked at again and again in threads: a server that hangs holds up nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import close_old_connections, connections
from django.db.models import Count

from scalekit.queue.ages import oldest_due, oldest_ready
from scalekit.queue.brokers import default_broker
from scalekit.queue.brokers.base import QueueStats
from scalekit.queue.conf import settings
from scalekit.queue.lanes import lanes_of
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.pausing import paused_queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("scalekit.queue")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """What the databases know.

    `dead` counts the dead letters of a queue, `oldest_due` is for how many seconds the oldest row of the
    outbox has been due without being published.
    """

    dead: dict[str, int] = field(default_factory=dict)
    oldest_due: float = 0.0
    paused: frozenset[str] = frozenset()


class Watch(Generic[T]):
    """Calls `look` every `every` seconds on a thread of its own, and keeps what it returned last."""

    def __init__(self, name: str, look: Callable[[], T], every: float) -> None:
        self._name, self._look, self._every = name, look, every
        self._seen: tuple[float, T] | None = None
        self._failing = False

    def start(self) -> None:
        """Look from now on, until this process ends."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def seen(self, within: float) -> T | None:
        """Return what was seen, unless that is more than `within` seconds ago."""
        if self._seen is None or time.monotonic() - self._seen[0] > within:
            return None
        return self._seen[1]

    def _run(self) -> None:
        try:
            while True:
                self.look_once()
                time.sleep(self._every)
        finally:
            connections.close_all()

    def look_once(self) -> None:
        """Look; what goes wrong is logged once, until it goes well again."""
        try:
            close_old_connections()
            self._seen = (time.monotonic(), self._look())
            self._failing = False
        except Exception as error:  # noqa: BLE001 - of a server, whichever it is; the next look follows
            if not self._failing:
                logger.warning("%s cannot be seen, trying again: %s", self._name, error)
            self._failing = True
        finally:
            close_old_connections()


def queues_waiting(queues: Iterable[str]) -> dict[str, QueueStats]:
    """Return what waits in the broker in each of `queues`, over its lanes.

    Where the broker cannot tell for how long, the records can: of jobs that have one.
    """
    broker, found = default_broker(), {}
    for queue in queues:
        stats = _sum(broker.stats(lanes_of(queue)))
        if stats.waited is None and stats.ready:
            stats = QueueStats(**{**_fields(stats), "waited": _waited_by_records(queue)})
        found[queue] = stats
    return found


def _fields(stats: QueueStats) -> dict[str, Any]:
    return {name: getattr(stats, name) for name in QueueStats.__slots__}


def _sum(lanes: dict[str, QueueStats]) -> QueueStats:
    counts = {
        name: sum(getattr(stats, name) for stats in lanes.values())
        for name in ("ready", "delayed", "in_flight", "dead")
    }
    waits = [stats.waited for stats in lanes.values() if stats.waited is not None]
    return QueueStats(**counts, waited=max(waits, default=None))


def _waited_by_records(queue: str) -> float | None:
    waits = [oldest_ready(alias, queue) for alias in settings.DATABASES]
    return max((wait for wait in waits if wait is not None), default=None)


def rows_waiting() -> Rows:
    """Return what the databases know. Raises `DatabaseError`."""
    dead: Counter[str] = Counter()
    for alias in settings.DATABASES:
        failed = TaskRecord.objects.using(alias).filter(status=Status.FAILED).order_by()
        dead.update(dict(failed.values_list("queue_name").annotate(Count("pk"))))
    waits = [oldest_due(alias) or 0.0 for alias in settings.DATABASES]
    return Rows(dict(dead), max(waits, default=0.0), paused_queues())
