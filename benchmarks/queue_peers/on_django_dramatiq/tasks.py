from __future__ import annotations

import dramatiq
from django.db import transaction

from benchmarks.queue_peers import jobs


@dramatiq.actor
def nothing(number):
    jobs.nothing(number)


@dramatiq.actor
def note_start(number):
    jobs.note_start(number)


@dramatiq.actor(min_backoff=1000, max_backoff=10_000)
def storm(number):
    jobs.storm(number)


def enqueue(job, number):
    transaction.on_commit(lambda: job.send(number))
