"""A stampede: 4 processes of 8 threads ask for one cold key at once, whose load takes 200 ms. One Valkey.

Counted are the loads, the seconds until all 32 have their answer, and the commands the server ran, those inside
scripts included, without the set-up of connections.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.cache_loads import loads
from benchmarks.cache_orm_peers import (
    Cachalot,
    CacheopsFunction,
    CacheopsLock,
    CacheopsQuerySetLock,
)
from benchmarks.cache_peers import (
    AioCache,
    AioCacheStampede,
    CacheTools,
    Cashews,
    CashewsLock,
    Dogpile,
    DogpileDistributed,
)
from benchmarks.cache_processes import children, forking
from benchmarks.cache_server import commands, reset, shop
from benchmarks.cache_setups import DjangoOwn, DjangoRedis, Scalekit, ScalekitTags, installed, serve
from benchmarks.cache_tables import show
from benchmarks.taking_turns import QUICK, rounds

PROCESSES, THREADS, LOAD = 4, 8, 0.2
LIMIT = 30  # seconds
COMMANDS = 170  # the most that ours may take
SETUPS = (
    *(DjangoRedis, DjangoOwn, Dogpile, DogpileDistributed, Cashews, CashewsLock, AioCache),
    *(AioCacheStampede, CacheopsFunction, CacheopsLock, CacheopsQuerySetLock, Cachalot),
    *(CacheTools, Scalekit, ScalekitTags),
)


def visitors(say, kind, url, database, barrier, count):
    """Be one of the processes: answer each round with its loads, seconds and wrong answers."""
    setup = serve(kind(url), database)
    with ThreadPoolExecutor(THREADS) as threads:
        for key in range(1, count + 2):  # the first round makes connections
            loads.count, loads.seconds = 0, LOAD
            barrier.wait(LIMIT)
            begin = time.monotonic()
            answers = list(threads.map(_asking(setup, key), range(THREADS)))
            say((loads.count, begin, time.monotonic(), sum(a != key * 100 for a in answers)))
            barrier.wait(LIMIT)


def _asking(setup, key):
    def ask(_):
        try:
            return setup.get(key)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is a wrong answer
            return repr(error)

    return ask


def stampede(kind, url, database, count):
    """Return the median loads, seconds and commands, and the wrong answers of all rounds."""
    barrier = forking.Barrier(PROCESSES + 1)
    job = (visitors, kind, url, database, barrier, count)
    found = []
    with children([job] * PROCESSES) as processes:
        for _ in range(count + 1):
            reset(url)
            barrier.wait(LIMIT)
            heard = [child.hear(LIMIT) for child in processes]
            ran = commands(url)
            barrier.wait(LIMIT)
            done, begun, ended, wrong = zip(*heard, strict=True)
            found.append((sum(done), max(ended) - min(begun), ran, sum(wrong)))
    *figures, wrong = zip(*found[1:], strict=True)
    return *(statistics.median(column) for column in figures), sum(wrong)


def main():
    count = 1 if rounds(__doc__) == QUICK else 7
    print(__doc__)
    rows, faults = [], []
    with shop() as (url, database, _):
        for kind in installed(*SETUPS):
            done, seconds, ran, wrong = stampede(kind, url, database, count)
            rows.append([kind.name, f"{done:.0f}", f"{seconds:.2f} s", f"{ran:.0f}", wrong or ""])
            if kind.is_ours and (done > 1 or ran > COMMANDS or wrong):
                faults.append(f"{kind.name}: {done} loads, {ran} commands, {wrong} errors")
    columns = ["4 x 8, one cold key", "loads", "all answered after", "commands", "errors"]
    show("Stampede", columns, rows)
    if faults:
        sys.exit("; ".join(faults))


if __name__ == "__main__":
    main()
