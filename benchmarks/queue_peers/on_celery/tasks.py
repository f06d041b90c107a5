from __future__ import annotations

from benchmarks.queue_peers import jobs
from benchmarks.queue_peers.on_celery.app import app


@app.task
def nothing(number):
    jobs.nothing(number)


@app.task
def note_start(number):
    jobs.note_start(number)


@app.task(autoretry_for=(jobs.Stumbled,), retry_backoff=1, retry_backoff_max=10, max_retries=20)
def storm(number):
    jobs.storm(number)


def enqueue(job, number):
    job.delay_on_commit(number)
