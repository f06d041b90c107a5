"""The leader dies: the process that loads a cold key is killed by kill -9 while the 8 threads of another one wait.

Their own load takes 50 ms. Counted are the seconds from the death to the first and the last answer, and the loads of
the waiting process. All set-ups at once, each in a database of its own of one Valkey: it is the waiting that takes time.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait

from benchmarks.cache_loads import loads
from benchmarks.cache_orm_peers import CacheopsFunction, CacheopsLock
from benchmarks.cache_peers import (
    AioCache,
    AioCacheStampede,
    Cashews,
    CashewsLock,
    Dogpile,
    DogpileDistributed,
)
from benchmarks.cache_processes import children, forking
from benchmarks.cache_server import shop
from benchmarks.cache_setups import DjangoOwn, DjangoRedis, Scalekit, installed, serve
from benchmarks.cache_tables import show
from benchmarks.taking_turns import QUICK, rounds

KEY, THREADS, LOAD = 7, 8, 0.05
RECLAIMED = 5  # seconds within which ours must have the value
WAITING = 0.5  # seconds that all wait before the leader dies
SETUPS = (
    *(DjangoRedis, DjangoOwn, Dogpile, DogpileDistributed, Cashews, CashewsLock, AioCache),
    *(AioCacheStampede, CacheopsFunction, CacheopsLock, Scalekit),
)


def lead(say, kind, url, database, loading):  # noqa: ARG001 - it dies without a word
    """Load, and never come to an end."""
    setup = serve(kind(url), database)
    loads.stand_still(loading, forking.Event())
    setup.get(KEY)


def follow(say, kind, url, database, start, seconds):
    """Ask in all threads; say when each was answered, how many were not, and the loads."""
    setup = serve(kind(url), database)
    setup.get(KEY + 1)
    say("ready")
    start.wait(seconds)
    loads.count, loads.seconds = 0, LOAD

    def ask(_):
        right = setup.get(KEY) == KEY * 100
        return time.monotonic() if right else None

    threads = ThreadPoolExecutor(THREADS)
    asked = [threads.submit(ask, n) for n in range(THREADS)]
    done, waiting = wait(asked, seconds)
    times = [future.result() for future in done if not future.exception()]
    failed = sum(future.exception() is not None for future in done)
    say((sorted(filter(None, times)), len(waiting), failed, loads.count))


def row(kind, died, heard, limit):
    """Return one set-up's row."""
    if heard is None:
        return [kind.name, "-", "-", "-", "-"]
    times, waiting, failed, count = heard
    first, last = (max(0, t - died) for t in (times[0], times[-1])) if times else (None, None)
    over = f"> {limit} s"
    texts = [over if t is None else f"{t:.2f} s" for t in (first, None if waiting else last)]
    return [kind.name, *texts, count, failed or ""]


def is_bad(found):
    _, first, _, count, failed = found
    return first.startswith(">") or float(first.split()[0]) > RECLAIMED or count != 1 or failed


def main():
    limit = 6 if rounds(__doc__) == QUICK else 30
    print(__doc__)
    kinds = installed(*SETUPS)
    start = forking.Event()
    loading = [forking.Event() for _ in kinds]
    with shop() as (url, database, _):
        places = [(k, url[:-1] + str(n), database) for n, k in enumerate(kinds)]
        leaders = [(lead, *place, event) for place, event in zip(places, loading, strict=True)]
        followers = [(follow, *place, start, limit) for place in places]
        with children(leaders) as dying, children(followers) as waiting:
            for child, event in zip(waiting, loading, strict=True):
                child.hear(limit)
                event.wait(limit)
            start.set()
            time.sleep(WAITING)
            for child in dying:
                child.process.kill()
            died = time.monotonic()
            heard = [child.hear(limit + 5) for child in waiting]
    rows = [row(kind, died, said, limit) for kind, said in zip(kinds, heard, strict=True)]
    columns = ["after the leader's death", "first answer", "last answer", "loads", "errors"]
    show("The loading process is killed", columns, rows)
    faults = [
        found for kind, found in zip(kinds, rows, strict=True) if kind.is_ours and is_bad(found)
    ]
    if faults:
        sys.exit(f"More than {RECLAIMED} s, or more than one load: {faults}")


if __name__ == "__main__":
    main()
