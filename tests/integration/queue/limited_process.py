"""A process that may be killed at the wrong moment: ``python -m tests.integration.queue.limited_process WHAT ...``."""

from __future__ import annotations

import os
import sys
import time

import django

SECONDS = 2.0
BEGIN = "INSERT INTO span (began, name) VALUES (clock_timestamp(), %s) RETURNING id"


def say(what):
    print(what, flush=True)  # noqa: T201 - the test reads it


def stop_here():
    say("in between")
    time.sleep(3600)


def end(id_, when):
    """End a job well, and stop before or after what follows has been written, but not committed."""
    from scalekit.queue.flows import sending
    from scalekit.queue.models import TaskRecord
    from tests.queue.playing import succeed

    put = sending.put

    def stopping(*args, **kwargs):
        if when == "after":
            put(*args, **kwargs)
        stop_here()

    sending.put = stopping
    succeed(TaskRecord.objects.get(pk=id_))


def hold(name, count):
    """Take a place and keep it."""
    from scalekit.queue.limits import Limits
    from scalekit.queue.limits.admission import Applicant, admit

    say(admit(Limits(name, name, concurrency=int(count)), Applicant("me")))
    stop_here()


def run(processes, *limits):
    """Let so many processes run jobs, first within one of `limits` and then within the next, each for `SECONDS`.

    A limit is a rate, or a number of places.
    """
    for _ in range(int(processes)):
        if not os.fork():  # with Django set up: to start each by itself takes several times as long
            for limit in limits:
                run_within(limit)
            return
    say("Ready.")
    if any(os.wait()[1] for _ in range(int(processes))):
        sys.exit("One has failed.")


def run_within(limit):
    """Run as many jobs as the limit allows, and write down when each was on."""
    from django.db import connection

    from scalekit.queue.limits import limits_of
    from scalekit.queue.limits.admission import Applicant, Refusal, admit, leave, wait_for

    is_rate = "/" in limit
    options = {"rate_limit": limit} if is_rate else {"concurrency": int(limit)}
    limits = limits_of(options, limit, run, [], {})
    with connection.cursor() as cursor:
        cursor.execute(BEGIN, [f"before {limit}"])
    until, has_waited = time.monotonic() + SECONDS, False
    while time.monotonic() < until:
        found = admit(limits, Applicant("job", has_waited=has_waited))
        has_waited = isinstance(found, Refusal)
        if isinstance(found, Refusal):
            time.sleep(min(found.delay, 0.2))
            continue
        wait_for(found)
        with connection.cursor() as cursor:
            cursor.execute(BEGIN, [limit])
            [id_] = cursor.fetchone()
            time.sleep(0.02)
            cursor.execute("UPDATE span SET ended = clock_timestamp() WHERE id = %s", [id_])
        if found.place is not None:
            leave(limits, found.place)


if __name__ == "__main__":
    django.setup()
    {"end": end, "hold": hold, "run": run}[sys.argv[1]](*sys.argv[2:])
