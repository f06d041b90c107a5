"""Play the worker: end jobs as one would, without running anything."""

from __future__ import annotations

from scalekit.core.context import unit_of_work
from scalekit.queue import dead_letters, records
from scalekit.queue.facts import JOB, JOB_ID
from scalekit.queue.jobs import Job
from scalekit.queue.leases import held
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.outbox import message_of


def waiting(path="", using="default"):
    """Return the jobs that wait to be run, in the order in which they were enqueued."""
    rows = TaskRecord.objects.using(using).filter(status=Status.READY, path__endswith=path)
    return list(rows.order_by("pk"))


def called(path, using="default"):
    """Return the arguments of the jobs of a task that wait to be run."""
    return [row.args for row in waiting(path, using)]


def begin(row, using="default"):
    """Claim the job of `row`, as a worker does with its message."""
    row = TaskRecord.objects.using(using).get(pk=row.pk)
    row._state.db = using
    message = message_of(row)
    message.options["database"] = using
    job = Job(message)
    records.claim(job)
    held.discard(job)  # no thread of this process runs it, whose lease would have to be kept
    return job


def succeed(row, value=None, using="default", knowing=()):
    return _end(row, using, knowing, value=value)


def die(row, using="default"):
    return _end(row, using, error=ValueError("it died"))


def requeued(row):
    """Return `row`, a dead letter, as an operator has had it run again."""
    dead = next(dead_letters.find(dead_letters.Search(ids=[row.pk])))
    assert sum(batch.done for batch in dead_letters.requeue(dead)) == 1
    return row


def discarded(row):
    """Remove `row`, a dead letter, as an operator does."""
    dead = next(dead_letters.find(dead_letters.Search(ids=[row.pk])))
    assert sum(batch.done for batch in dead_letters.discard(dead)) == 1


def _end(row, using, knowing=(), **how):
    job = begin(row, using)
    with unit_of_work():
        JOB.set(job)
        JOB_ID.set(str(row.pk))
        for fact, value in dict(knowing).items():
            fact.set(value)
        assert records.finish(job, **how)
    return job
