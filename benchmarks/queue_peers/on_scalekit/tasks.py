from __future__ import annotations

import os

from benchmarks.queue_peers import jobs
from scalekit.queue import task

RECORD = "scalekit-unrecorded" not in os.environ["QUEUE_PEERS"]


@task(record=RECORD)
def nothing(number):
    jobs.nothing(number)


@task(record=RECORD)
def note_start(number):
    jobs.note_start(number)


@task(record=RECORD)
def storm(number):
    from scalekit.queue import once

    def effect(number):
        with once(f"storm {number}") as first:
            if first:
                jobs.have_effect(number)

    jobs.storm(number, effect)


def enqueue(job, number):
    job.enqueue(number)
