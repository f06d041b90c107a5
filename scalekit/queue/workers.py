"""One process of workers: what it consumes, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules
from dramatiq import Worker

from scalekit.queue.actors import actors
from scalekit.queue.checks import our_backends
from scalekit.queue.conf import settings
from scalekit.queue.execution import task_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scalekit.queue.brokers.base import QueueBroker

POLL = 200  # milliseconds between two looks at an idle queue

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def declare(broker: QueueBroker) -> set[str]:
    """Import every app's `tasks` module, declare what may be run on `broker`, and return the queues."""
    autodiscover_modules("tasks")
    for actor in actors:
        actor.declare_on(broker)
    queues = {actor.queue_name for actor in actors}
    for params in our_backends().values():
        queues |= set(params.get("QUEUES") or ["default"])
    for queue in queues:
        task_actor(broker, queue)
    return queues


def any_queue_is_valid() -> bool:
    """Tell whether a backend takes tasks for queues that the settings do not name."""
    return any(params.get("QUEUES") == [] for params in our_backends().values())


class WorkerProcess:
    """Threads that run jobs until this process is told to stop; then they finish what they have begun.

    A second Ctrl-C ends the process at once; its jobs are run again by another worker.
    """

    def __init__(self, broker: QueueBroker, queues: Iterable[str], threads: int) -> None:
        for queue in queues:
            task_actor(broker, queue)
        self.broker = broker
        self.worker = Worker(
            broker, queues=set(queues), worker_threads=threads, worker_timeout=POLL
        )
        self._stop = threading.Event()

    def run(self, started: Callable[[], object], draining: Callable[[], object]) -> bool:
        """Run until SIGTERM or SIGINT; tell whether every job had finished within the drain time."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            self.broker.emit_after("process_boot")
            self.worker.start()
            started()
            self._stop.wait()
            draining()
            self.worker.stop(timeout=int(settings.DRAIN_SECONDS * 1000))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return not any(thread.is_alive() for thread in self.worker.workers)

    def _on_signal(self, number: int, _frame: Any) -> None:
        if self._stop.is_set() and number == signal.SIGINT:
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        self._stop.set()


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
