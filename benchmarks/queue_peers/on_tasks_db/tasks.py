from __future__ import annotations

import django

from benchmarks.queue_peers import jobs

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task(backend="tasks_db")
def nothing(number):
    jobs.nothing(number)


@task(backend="tasks_db")
def note_start(number):
    jobs.note_start(number)


@task(backend="tasks_db")
def storm(number):
    jobs.storm(number)


def enqueue(job, number):
    job.enqueue(number)
