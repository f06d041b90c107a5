from __future__ import annotations

import os

import dramatiq
from django.conf import settings
from django.db import transaction
from dramatiq.brokers.redis import RedisBroker

from benchmarks.queue_peers import jobs

broker = RedisBroker(
    url=os.environ["QUEUE_REDIS"], namespace="bare", **settings.BENCH_DRAMATIQ_OPTIONS
)


@dramatiq.actor(broker=broker)
def nothing(number):
    jobs.nothing(number)


@dramatiq.actor(broker=broker)
def note_start(number):
    jobs.note_start(number)


@dramatiq.actor(broker=broker, min_backoff=1000, max_backoff=10_000)
def storm(number):
    jobs.storm(number)


def enqueue(job, number):
    transaction.on_commit(lambda: job.send(number))
