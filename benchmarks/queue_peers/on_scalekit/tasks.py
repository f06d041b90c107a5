from __future__ import annotations

from django.db import transaction

from benchmarks.queue_peers import jobs
from scalekit.queue import once, task


@task
def nothing(number):
    jobs.nothing(number)


@task(record=False)
def nothing_unrecorded(number):
    jobs.nothing(number)


@task
def note_start(number):
    jobs.note_start(number)


@task
def stall(number):
    jobs.stall(number)


@task
def storm(number):
    jobs.storm(number, have_effect_once)


def have_effect_once(number):
    with transaction.atomic():
        if once("effect"):
            jobs.have_effect(number)


def enqueue(job, number):
    job.enqueue(number)
