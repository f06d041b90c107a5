from __future__ import annotations

from django.conf import settings
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from benchmarks.queue_peers import jobs


@app.task
def nothing(number):
    jobs.nothing(number)


@app.task
def note_start(number):
    jobs.note_start(number)


@app.task(retry=RetryStrategy(max_attempts=20, wait=1))
def storm(number):
    jobs.storm(number)


if settings.BENCH_PROCRASTINATE_RESCUES:

    @app.periodic(cron="* * * * *")
    @app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
    async def retry_stalled_jobs(context, timestamp):  # noqa: ARG001 - of its periodic tasks
        manager = app.job_manager
        for job in await manager.get_stalled_jobs():
            await manager.retry_job(job)


def enqueue(job, number):
    job.defer(number=number)
