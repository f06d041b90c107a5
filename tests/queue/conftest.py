from __future__ import annotations

import pytest

from scalekit.core.events import events
from tests.queue import sample_tasks

MEMORY = {"default": {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}}
TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}


@pytest.fixture
def done():
    sample_tasks.done.clear()
    return sample_tasks.done


@pytest.fixture
def broker(settings, done):
    """Give a broker in memory that all tasks of this test go to."""
    from scalekit.queue.brokers import default_broker

    settings.SCALEKIT_QUEUE_BROKER = MEMORY
    settings.SCALEKIT_QUEUE_MIN_BACKOFF = 0.01
    settings.TASKS = TASKS
    return default_broker()


@pytest.fixture
def work_off(broker):
    """Give a function that runs what is in the queues, retries included, on a thread of its own."""
    from dramatiq import Worker

    from scalekit.queue.workers import declare

    def work():
        queues = declare(broker)
        worker = Worker(broker, worker_timeout=10, worker_threads=1)
        worker.start()
        for queue in queues:
            broker.join(queue, fail_fast=False, timeout=10_000)
        worker.stop()

    return work


@pytest.fixture
def heard():
    """Give a function that lists the payloads of an event from now on."""
    undo = []

    def listen(name):
        payloads = []
        undo.append(events[name].subscribe(lambda _event, payload: payloads.append(payload)))
        return payloads

    yield listen
    for end in undo:
        end()


@pytest.fixture
def waiting(broker):
    """Give a function that counts the messages in a queue."""
    return lambda queue="default": broker.queues[queue].qsize() if queue in broker.queues else 0
