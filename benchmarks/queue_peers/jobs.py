"""What the jobs do, whoever runs them."""

from __future__ import annotations

import itertools
import os
import time
from functools import cache

WORK = 0.02  # seconds, of a job of the storm
STUMBLES = 10  # every tenth job of the storm raises the first time, where the queue has retries

_done = itertools.count(1)


@cache
def redis():
    from redis import Redis

    return Redis.from_url(os.environ["QUEUE_REDIS"])


def nothing(number):  # noqa: ARG001 - a job has an argument
    """Do nothing, and tell when the first and the last of QUEUE_COUNT were begun in this process."""
    count = next(_done)
    if count in {1, int(os.environ.get("QUEUE_COUNT", "0"))}:
        redis().rpush("ends", time.time())


def note_start(number):
    """Tell when this job was begun."""
    now = time.time()
    redis().rpush("starts", f"{number} {now}")


def stall(number):
    """Tell that this job was begun; the first time, do not come to an end."""
    note_start(number)
    if redis().incr(f"stall {number}") == 1:
        time.sleep(600)  # until its worker is killed


class Stumbled(Exception):
    """The job raises the first time."""


def storm(number, effect=None):
    """Note that it runs, work, and have an effect: a row, which `effect` may guard."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO chaos_run (job) VALUES (%s)", [number])
        stumbles = os.environ.get("QUEUE_STUMBLES") == "1" and number % STUMBLES == 0
        if stumbles:
            cursor.execute("SELECT count(*) FROM chaos_run WHERE job = %s", [number])
            if cursor.fetchone()[0] == 1:
                raise Stumbled
    time.sleep(WORK)
    (effect or have_effect)(number)


def have_effect(number):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO chaos_effect (job) VALUES (%s)", [number])
