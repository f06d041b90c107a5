"""The cache is gone: 10 cached calls of one page, one after the other, whose values were all stored before.

Frozen (SIGSTOP: connections stay, nothing answers) and refused (kill -9). Each set-up with its own time-outs, and
with 0.25 s where it lets one set them. All at once, each in a process of its own: it is the waiting that takes time.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager

from benchmarks.cache_loads import loads
from benchmarks.cache_orm_peers import Cachalot, CacheopsFunction, CacheopsQuerySet
from benchmarks.cache_peers import AioCache, Cashews, Dogpile, DogpileDistributed
from benchmarks.cache_processes import children, forking
from benchmarks.cache_server import shop
from benchmarks.cache_setups import (
    DjangoOwn,
    DjangoRedis,
    DjangoRedisIgnoring,
    Scalekit,
    installed,
    serve,
)
from benchmarks.cache_tables import show
from benchmarks.taking_turns import QUICK, rounds

CALLS = 10
BAR = 0.5  # seconds that ours may take; twice that is no noise
TIMEOUTS = (None, 0.25)  # seconds
SETUPS = (
    *(DjangoRedis, DjangoRedisIgnoring, DjangoOwn, Dogpile, DogpileDistributed, Cashews, AioCache),
    *(CacheopsFunction, CacheopsQuerySet, Cachalot, Scalekit),
)


def visit(say, kind, url, database, gone, timeout):
    """Call while the cache is gone; say after each call how long all took, and how many failed."""
    setup = serve(kind(url, timeout), database)
    for key in range(1, CALLS + 1):
        setup.get(key)
    say("ready")
    gone.wait()
    failed, loads.count, begin = 0, 0, time.monotonic()
    for key in range(1, CALLS + 1):
        try:
            failed += setup.get(key) != key * 100
        except Exception:  # noqa: BLE001 - whatever the library raises
            failed += 1
        say((key, time.monotonic() - begin, failed))


def cell(child, deadline, limit):
    """Return what is known of one process at the deadline."""
    key = seconds = failed = 0
    while key < CALLS:
        heard = child.hear(max(0, deadline - time.monotonic()))
        if heard is None:
            return f"> {limit} s for {key + 1}" if key + 1 < CALLS else f"> {limit} s"
        key, seconds, failed = heard
    return f"{seconds:.2f} s" + (f", {failed} errors" if failed else "")


def outage(kinds, limit, begin):
    """Return a row of cells for each set-up, one for each time-out."""
    gone = forking.Event()
    with shop() as (url, database, server):
        jobs = [
            (visit, kind, url[:-1] + str(number), database, gone, timeout)
            for number, kind in enumerate(kinds)
            for timeout in TIMEOUTS
        ]
        with children(jobs) as visitors:
            for child in visitors:
                child.hear(20)
            with begin(server):
                gone.set()
                deadline = time.monotonic() + limit
                cells = [cell(child, deadline, limit) for child in visitors]
    return [cells[n : n + len(TIMEOUTS)] for n in range(0, len(cells), len(TIMEOUTS))]


@contextmanager
def refused(server):
    server.kill()
    yield


def is_slow(text):
    return not text.endswith(" s") or text.startswith(">") or float(text.split()[0]) > 2 * BAR


def main():
    limit = 4 if rounds(__doc__) == QUICK else 60
    print(__doc__)
    kinds = installed(*SETUPS)
    frozen = outage(kinds, limit, lambda server: server.frozen())
    dead = outage(kinds, limit, refused)
    columns = [
        *("10 cached calls", "frozen, own time-outs", "frozen, 0.25 s"),
        *("refused, own time-outs", "refused, 0.25 s"),
    ]
    rows = [[k.name, *a, *b] for k, a, b in zip(kinds, frozen, dead, strict=True)]
    show("The cache is gone", columns, rows)
    slow = [row for kind, row in zip(kinds, rows, strict=True) if kind.is_ours and is_slow(row[2])]
    if slow:
        sys.exit(f"More than {BAR} s with time-outs of 0.25 s: {slow}")


if __name__ == "__main__":
    main()
