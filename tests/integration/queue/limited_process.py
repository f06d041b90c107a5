"""A process that may be killed at the wrong moment: ``python -m tests.integration.queue.limited_process WHAT ...``."""

from __future__ import annotations

import sys
import time

import django


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


def run(rate, places, seconds):
    """Run as many jobs as the limits allow, and write down when each was on."""
    from django.db import connection

    from scalekit.queue.limits import limits_of
    from scalekit.queue.limits.admission import Applicant, Refusal, admit, leave, wait_for

    options = {"rate_limit": rate or None, "concurrency": int(places) or None}
    limits = limits_of(options, "limited", run, [], {})
    until, has_waited = time.monotonic() + float(seconds), False
    say("Ready.")
    while time.monotonic() < until:
        found = admit(limits, Applicant("job", has_waited=has_waited))
        has_waited = isinstance(found, Refusal)
        if isinstance(found, Refusal):
            time.sleep(min(found.delay, 0.2))
            continue
        wait_for(found)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO span (began) VALUES (clock_timestamp()) RETURNING id")
            [id_] = cursor.fetchone()
            time.sleep(0.02)
            cursor.execute("UPDATE span SET ended = clock_timestamp() WHERE id = %s", [id_])
        if found.place is not None:
            leave(limits, found.place)


if __name__ == "__main__":
    django.setup()
    {"end": end, "hold": hold, "run": run}[sys.argv[1]](*sys.argv[2:])
