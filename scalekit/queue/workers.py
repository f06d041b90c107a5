"""The threads of one worker process: what they consume, and how they end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules
from dramatiq import Worker
from dramatiq.common import q_name
from dramatiq.worker import WorkerThread

from scalekit.queue.actors import actors
from scalekit.queue.appetite import Appetite, WorkQueue
from scalekit.queue.checks import our_backends
from scalekit.queue.consuming import QueueConsumer, give_back
from scalekit.queue.execution import task_actor
from scalekit.queue.lanes import lanes_of
from scalekit.queue.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scalekit.queue.brokers.base import QueueBroker
    from scalekit.queue.gate import Gate

POLL = 200  # milliseconds between two looks at an idle queue
GOODBYE = 5.0  # seconds that a consumer may take to notice that it is to end


def declare(broker: QueueBroker) -> set[str]:
    """Import every app's `tasks` module, declare what may be run on `broker`, and return the queues."""
    autodiscover_modules("tasks")
    for actor in actors:
        actor.declare_on(broker)
    queues = {actor.queue_name for actor in actors}
    for params in our_backends().values():
        queues |= set(params.get("QUEUES") or ["default"])
    for queue in queues:
        _declare_lanes(broker, queue)
    return queues


def _declare_lanes(broker: QueueBroker, queue: str) -> None:
    for lane in lanes_of(queue):
        task_actor(broker, lane)


def any_queue_is_valid() -> bool:
    """Tell whether a backend takes tasks for queues that the settings do not name."""
    return any(params.get("QUEUES") == [] for params in our_backends().values())


class JobThread(WorkerThread):
    """Dramatiq's, which puts off to write that a job has succeeded."""

    def __init__(self, settling: Settling, **options: Any) -> None:
        super().__init__(**options)
        self._settling = settling

    def run(self) -> None:
        self._settling.begin()
        super().run()


class QueueWorker(Worker):
    """Dramatiq's Worker on all lanes of some queues, behind a gate."""

    def __init__(
        self, broker: QueueBroker, queues: Iterable[str], threads: int, gate: Gate
    ) -> None:
        queues = set(queues)
        for queue in queues:
            _declare_lanes(broker, queue)
        lanes = {lane for queue in queues for lane in lanes_of(queue)}
        super().__init__(broker, queues=lanes, worker_threads=threads, worker_timeout=POLL)
        self.work_queue = WorkQueue()
        self.gate, self.appetite = gate, Appetite(threads, self.work_queue)
        self.settling = Settling(threads)

    def _add_consumer(self, queue_name: str, *, delay: bool = False) -> None:
        wanted = self.consumer_whitelist or ()
        if queue_name in self.consumers or q_name(queue_name) not in wanted:
            return
        consumer = QueueConsumer(
            gate=self.gate,
            appetite=self.appetite,
            peers=self.consumers,
            settling=self.settling,
            broker=self.broker,
            queue_name=queue_name,
            prefetch=self.delay_prefetch if delay else self.worker_threads,
            work_queue=self.work_queue,
            worker_timeout=self.worker_timeout,
        )
        self.consumers[queue_name] = consumer
        consumer.start()

    def _add_worker(self) -> None:
        thread = JobThread(
            self.settling,
            broker=self.broker,
            consumers=self.consumers,
            work_queue=self.work_queue,
            worker_timeout=self.worker_timeout,
        )
        thread.start()
        self.workers.append(thread)

    @property
    def held(self) -> int:
        """How many jobs wait here for a thread."""
        return self.work_queue.qsize()

    def drain(self, may_go_on: Callable[[], bool]) -> bool:
        """Begin no job any more, give back what was not begun, and wait for what was while `may_go_on()`.

        Return whether every job has finished.
        """
        self.broker.emit_before("worker_shutdown", self)
        self.gate.drain()
        for thread in self.workers:
            thread.stop()
        while (busy := any(thread.is_alive() for thread in self.workers)) and may_go_on():
            time.sleep(0.02)
        self._end_consumers()
        self.broker.emit_after("worker_shutdown", self)
        return not busy

    def _end_consumers(self) -> None:
        for consumer in self.consumers.values():
            consumer.stop()
        end = time.monotonic() + GOODBYE
        for consumer in self.consumers.values():
            consumer.join(max(0.0, end - time.monotonic()))
        for consumer in self.consumers.values():
            if not consumer.is_alive():
                give_back(consumer)
                consumer.close()
