"""Tasks for the tests of flows, limits, cancelling and progress."""

from __future__ import annotations

import asyncio
import time

from django.db import connection, transaction

from scalekit.queue import once, report_progress, task
from tests.integration.queue.project.tasks import note_span, write


@task
def double(number):
    return 2 * number


@task
def collect(numbers, more=0):
    return sum(numbers) + more


@task
def tell(first, word):
    write(f"{word} {first}")


@task(max_retries=0)
def die():
    raise ValueError("it always fails")


@task(concurrency=1, limit_by="name")
def one_at_a_time(name):
    note_span(0.05)


@task(rate_limit="10/s")
def paced():
    note_span(0)


@task(rate_limit="10/s", record=False)
def paced_without_a_record():
    note_span(0)


@task
def go_on_for_ever():
    write("begun")
    try:
        while True:
            time.sleep(0.01)
    finally:
        write("tidied up")


@task
async def wait_for_ever():
    write("begun")
    try:
        await asyncio.sleep(3600)
    finally:
        write("tidied up")


@task
def load(total):
    for done in range(total):
        report_progress(done, total, "Loading")
        time.sleep(0.01)
    report_progress(total, total, "Loaded")


@task(takes_context=True, max_retries=5)
def affect_once(context, name):
    with transaction.atomic():
        if once("effect"):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO effect (name) VALUES (%s)", [name])
    if context.attempt < 3:
        raise ValueError("after its effect")
