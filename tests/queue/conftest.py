from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from scalekit.core.events import events
from tests.queue import sample_tasks

MEMORY = {"default": {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}}
TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let a test with a broker have a database that its worker sees; one that asks for `db` rolls back."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        asks = fixtures & {"db", "transactional_db"} or item.get_closest_marker("django_db")
        if "broker" in fixtures and item.path.parent == Path(__file__).parent and not asks:
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(autouse=True)
def no_job_is_left_held():
    """See to it that whatever took a job has let it go: a lease that is kept for nobody keeps the job from all."""
    from django.db import connections

    from scalekit.queue.leases import held

    yield
    left = [job.record for alias in connections for job in held.of(alias)]
    held.forget()
    assert not left


@pytest.fixture
def done():
    sample_tasks.done.clear()
    return sample_tasks.done


@pytest.fixture
def broker(settings, done):
    """Give a broker in memory that all tasks of this test go to; their records are in the database."""
    from scalekit.queue.brokers import default_broker

    settings.SCALEKIT_QUEUE_BROKER = MEMORY
    settings.SCALEKIT_QUEUE_MIN_BACKOFF = 0.01
    settings.TASKS = TASKS
    return default_broker()


@pytest.fixture
def work_off(broker):
    """Give a function that runs all there is to run, retries included, on a thread of its own."""
    from dramatiq import Worker

    from scalekit.queue.relay import relay
    from scalekit.queue.workers import declare

    def work():
        declare(broker)
        worker = Worker(broker, worker_timeout=10, worker_threads=1)
        worker.start()
        try:
            while True:
                for queue in list(broker.queues):
                    broker.join(queue, fail_fast=False, timeout=10_000)
                worker.join()
                if not is_due_soon():
                    break
                with resting(worker):
                    relay("default")
        finally:
            worker.stop()

    return work


@contextmanager
def resting(worker):
    """Keep the threads of `worker` from running jobs: of two that write, SQLite in memory lets one fail."""
    for thread in worker.workers:
        thread.pause()
        thread.paused_event.wait()
    yield
    for thread in worker.workers:
        thread.resume()


def is_due_soon():
    """Tell whether a job waits in the database for a few seconds at most: for its retry, or its relay."""
    from scalekit.queue.models import TaskRecord

    soon = Now() + timedelta(seconds=3)
    return TaskRecord.objects.filter(status="READY", publish_at__lte=soon).exists()


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
def signals():
    """Give what the worker's signals said: (signal, sender, status, attempts)."""
    from scalekit.queue.frameworks import framework

    said = []
    receivers = []
    for name in ("task_started", "task_finished"):

        def receive(sender, task_result, name=name, **_):
            said.append((name, sender.__name__, str(task_result.status), task_result.attempts))

        getattr(framework().signals, name).connect(receive)
        receivers.append((name, receive))
    yield said
    for name, receive in receivers:
        getattr(framework().signals, name).disconnect(receive)


@pytest.fixture
def waiting(broker):
    """Give a function that counts the messages in a queue."""
    return lambda queue="default": broker.queues[queue].qsize() if queue in broker.queues else 0


@pytest.fixture
def calls(broker, monkeypatch):
    """Give the list of what `broker.enqueue_many` is called with."""
    lists, enqueue_many = [], broker.enqueue_many

    def remember(messages):
        lists.append(list(messages))
        enqueue_many(messages)

    monkeypatch.setattr(broker, "enqueue_many", remember)
    return lists


@pytest.fixture
def refusing(broker, monkeypatch):
    """Let the broker take nothing, and answer no ping; give what brings it back."""
    from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed

    def refuse(*_args, **_options):
        raise PublishFailed

    def stay_silent(*_args):
        raise BrokerUnreachable

    with monkeypatch.context() as patch:
        for name in ("enqueue", "enqueue_many"):
            patch.setattr(broker, name, refuse)
        patch.setattr(broker, "ping", stay_silent)
        yield patch.undo


@pytest.fixture
def job(broker):
    """Give a function that makes the job of a worker's that has fetched the message of `result`."""
    from scalekit.queue.jobs import Job
    from scalekit.queue.leases import held
    from scalekit.queue.models import TaskRecord
    from scalekit.queue.publishing import message_of

    yield lambda result: Job(message_of(TaskRecord.objects.get(pk=result.id)))
    held.forget()


@pytest.fixture
def claimed(job):
    """Give a function that returns a job that is claimed."""
    from scalekit.queue import records

    def make(result=None):
        found = job(result or sample_tasks.note.enqueue("x"))
        records.claim(found)
        return found

    return make
