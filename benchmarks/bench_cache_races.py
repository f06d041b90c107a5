"""The stale-set race: a load has read the OLD row and stands still; another process writes NEW, commits and
invalidates as the library's documentation says; the load goes on. What do both processes read next?

Each set-up in two processes of its own. PostgreSQL, Valkey; the load is held where the database has answered. The
first column is the control: a write while nothing loads.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

from benchmarks.cache_changes import RACING, fill, make_tables
from benchmarks.cache_loads import loads
from benchmarks.cache_orm_peers import (
    Cachalot,
    CacheopsFresh,
    CacheopsFunction,
    CacheopsLock,
    CacheopsQuerySet,
    CacheopsQuerySetLock,
)
from benchmarks.cache_peers import (
    AioCache,
    AioCacheStampede,
    CacheTools,
    Cashews,
    CashewsLock,
    CashewsTags,
    Dogpile,
    DogpileDistributed,
)
from benchmarks.cache_processes import ask, children, forking
from benchmarks.cache_server import reset
from benchmarks.cache_setups import (
    DjangoOwn,
    DjangoRedis,
    Scalekit,
    ScalekitModels,
    ScalekitTags,
    ScalekitTiered,
    Setup,
    installed,
    serve,
)
from benchmarks.cache_tables import show
from benchmarks.taking_turns import rounds
from scalekit.testing.servers import Topology

LIMIT = 20  # seconds
CHANGES = (RACING[0], *RACING)
SETUPS = (
    *(DjangoRedis, DjangoOwn, Dogpile, DogpileDistributed, Cashews, CashewsLock, CashewsTags),
    *(AioCache, AioCacheStampede, CacheTools, CacheopsFunction, CacheopsLock, CacheopsFresh),
    *(CacheopsQuerySet, CacheopsQuerySetLock, Cachalot),
    *(Scalekit, ScalekitTags, ScalekitModels, ScalekitTiered),
)


def prepare(say, database, new):
    """Put the rows there, in `new` tables or in those that are there."""
    serve(Setup(""), database)
    if new:
        make_tables()
    fill()
    say("ready")


def read(say, kind, url, database, steps):
    """Load OLD and stand still, for each change but the control; then read again, and say both."""
    setup = serve(kind(url), database)
    for key, (reached, go_on, both) in enumerate(steps, 1):
        if key > 1:
            loads.stand_still(reached, go_on)
        first = setup.get(key)
        reached.set()
        go_on.wait(LIMIT)
        say((first, setup.get(key)))
        both.wait(LIMIT)


def write(say, kind, url, database, steps):
    """Change the row as soon as the load stands still; say what is read here in the end."""
    from django.db import transaction

    setup = serve(kind(url), database)
    for key, (change, (reached, go_on, both)) in enumerate(zip(CHANGES, steps, strict=True), 1):
        reached.wait(LIMIT)
        with transaction.atomic() if change.atomic else nullcontext():
            setup.write(change, key)
        go_on.set()
        both.wait(LIMIT)
        say(setup.get(key))


def race(kind, url, database):
    """Return "fresh" or "stale" for each change."""
    reset(url)
    steps = [(forking.Event(), forking.Event(), forking.Barrier(2)) for _ in CHANGES]
    jobs = [(work, kind, url, database, steps) for work in (read, write)]
    found = []
    with children(jobs) as [reader, writer]:
        for key, change in enumerate(CHANGES, 1):
            first, *seen = *(reader.hear(LIMIT) or (None, None)), writer.hear(LIMIT)
            new = None if change.name == "delete()" else -1
            right = "fresh" if seen == [new, new] else "stale"
            found.append(right if first == key * 100 else f"? {first}")
    return found


def main():
    rounds(__doc__)
    print(__doc__)
    rows, faults = [], []
    with Topology() as topology:
        url, database = topology.valkey().url, topology.postgres().django_settings()
        for kind in installed(*SETUPS):
            ask(LIMIT, prepare, database, not rows)
            rows.append([kind.name, *race(kind, url, database)])
            faults += [kind.name] if kind.is_ours and rows[-1].count("fresh") < len(CHANGES) else []
    show("The next read after the race", ["", "no race", *(change.name for change in RACING)], rows)
    if faults:
        sys.exit(f"Stale after a race: {'; '.join(faults)}")


if __name__ == "__main__":
    main()
