"""Run jobs in the test itself: the middleware and records of a worker, without its threads."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest, Now
from dramatiq.worker import ConsumerThread, WorkerThread

from scalekit.queue.commits import real_transactions
from scalekit.queue.conf import settings
from scalekit.queue.events import JOB_FINISHED
from scalekit.queue.middleware.connections import DatabaseConnections
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.publishing import message_of, publish
from scalekit.queue.workers import declare

from .brokers import memory_broker
from .exceptions import JobsDoNotEnd, QueueUntestable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.core.events import Event
    from scalekit.queue.brokers.memory import MemoryBroker


@dataclass(frozen=True, slots=True)
class RanJob:
    """One attempt: which job, and how it ended. `error` is what it raised."""

    id: str
    task: str
    outcome: str  # succeeded, retrying, failed, refused, skipped, late
    error: BaseException | None = None


def run_jobs(
    *, ahead: float | timedelta = 0, limit: int = 1000, raise_errors: bool = True
) -> list[RanJob]:
    """Run what is due, and what that enqueues, one after the other in this thread; return the attempts in order.

    `ahead` (seconds or a timedelta) runs also what becomes due within that time, such as retries and jobs
    with a `run_after`, in the order in which it would. The first error of a job is raised when its attempt
    has been recorded, unless `raise_errors` is False. Raises `JobsDoNotEnd` after `limit` attempts, and
    `QueueUntestable` inside an `atomic()` of the test, before whose end nothing is published.
    """
    if real_transactions():
        raise QueueUntestable(
            "run_jobs() stands inside atomic(), and jobs are published after its end: call it there."
        )
    within = ahead if isinstance(ahead, timedelta) else timedelta(seconds=ahead)
    ran: list[RanJob] = []
    with memory_broker() as broker, _connections_left_alone(broker):
        hand = Hand(broker)
        while (job := hand.run_next(within)) is not None:
            ran.append(job)
            if raise_errors and job.error is not None:
                raise job.error
            if len(ran) > limit:
                raise JobsDoNotEnd(
                    f"{limit} jobs have run and more are due, the last one {job.task}."
                )
    return ran


arun_jobs = sync_to_async(run_jobs)


@contextmanager
def _connections_left_alone(broker: MemoryBroker) -> Iterator[None]:
    """Keep the middleware that closes connections from closing those of the test, with its transaction."""
    before = broker.middleware
    broker.middleware = [one for one in before if not isinstance(one, DatabaseConnections)]
    try:
        yield
    finally:
        broker.middleware = before


class Hand:
    """Does by hand, in the calling thread, what the threads of a worker do for one message at a time."""

    def __init__(self, broker: MemoryBroker) -> None:
        declare(broker)
        self.broker = broker
        self._work: PriorityQueue[Any] = PriorityQueue()
        self._consumers: dict[str, _Consumer] = {}
        self._thread = WorkerThread(
            broker=broker,
            consumers=cast("dict[str, ConsumerThread]", self._consumers),
            work_queue=self._work,
            worker_timeout=0,
        )

    def run_next(self, within: timedelta) -> RanJob | None:
        """Run the next job that is due; None if there is none."""
        message = self._next_message(within)
        if message is None and _publish_next(self.broker, within):
            message = self._next_message(within)
        return None if message is None else self._run(message)

    def _next_message(self, within: timedelta) -> Any:
        self.broker.release_delayed(within.total_seconds())
        for queue in self._queues():
            message = next(self._consumer(queue))
            if message is not None:
                return message
        return None

    def _queues(self) -> list[str]:
        """Return the queues whose tasks are declared, the lanes that go first in front."""
        urgency: dict[str, int] = {}
        for actor in self.broker.actors.values():
            urgency[actor.queue_name] = min(actor.priority, urgency.get(actor.queue_name, 0))
        return sorted(urgency, key=lambda queue: urgency[queue])

    def _consumer(self, queue: str) -> Any:
        if queue not in self._consumers:
            self._consumers[queue] = _Consumer(self.broker, queue, self._work)
        return self._consumers[queue].consumer

    def _run(self, message: Any) -> RanJob:
        finished: list[dict[str, Any]] = []
        end = JOB_FINISHED.subscribe(_into(finished))
        self._work.put((0, message.message_id))  # which the thread counts as done
        self._work.get()
        try:
            self._thread.process_message(message)
        finally:
            end()
        error = self._consumers[message.queue_name].error
        told = finished[-1] if finished else {"task": "unknown", "outcome": "skipped"}
        return RanJob(str(message.message_id), told["task"], told["outcome"], error)


def _into(payloads: list[dict[str, Any]]) -> Callable[[Event, dict[str, Any]], None]:
    return lambda _event, payload: payloads.append(payload)


class _Consumer(ConsumerThread):
    """Dramatiq's, never started: it acknowledges what was processed, and keeps what that raised."""

    def __init__(self, broker: MemoryBroker, queue: str, work: PriorityQueue[Any]) -> None:
        super().__init__(
            broker=broker, queue_name=queue, prefetch=1, work_queue=work, worker_timeout=1
        )
        self.consumer = broker.consume(queue, prefetch=1, timeout=1)
        self.error: BaseException | None = None

    def post_process_message(self, message: Any) -> None:
        self.error = message._exception  # noqa: SLF001 - Dramatiq clears it after this
        super().post_process_message(message)


def _publish_next(broker: MemoryBroker, within: timedelta) -> bool:
    """Do for one row what the fast path or the relay would; False if none is due."""
    for database in settings.DATABASES:
        row = _due(database, within)
        if row is not None:
            publish(broker, [message_of(row)], [row.path])
            _forget_outbox(row, database)
            return True
    return False


def _due(database: str, within: timedelta) -> TaskRecord | None:
    waiting = TaskRecord.objects.using(database).filter(
        Q(run_after__isnull=True) | Q(run_after__lte=Now() + within),
        status=Status.READY,
        publish_at__isnull=False,
    )
    when = Greatest(Coalesce("run_after", Now()), Now())
    return waiting.order_by(when, "-priority", "enqueued_at", "pk").first()


def _forget_outbox(row: TaskRecord, database: str) -> None:
    rows = TaskRecord.objects.using(database).filter(pk=row.pk)
    if row.kept:
        rows.update(publish_at=None)
    else:
        rows.delete()
