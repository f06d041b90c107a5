"""Enqueueing: inside a transaction beside a bare INSERT, and many at once beside one by one."""

from __future__ import annotations

import statistics

from benchmarks.cache_tables import show
from benchmarks.taking_turns import in_turns

PER_TRANSACTION = 20
MANY = 500
BARE = "CREATE TABLE IF NOT EXISTS bench_bare (id bigserial PRIMARY KEY, args jsonb, at timestamptz DEFAULT now())"


def bare_insert(_number):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_bare (args) VALUES ('[1]')")


def measure_enqueue(site, peers, rounds):
    """Compare the call alone, and a transaction that enqueues one job and commits."""
    from django.db import transaction

    site.postgres.execute(BARE)
    ways = {"a bare INSERT": bare_insert}
    ways |= {peer.title: _enqueue(peer) for peer in peers}

    def alone(way):
        """Enqueue inside one open transaction, which is rolled back: nobody pays for what follows a commit."""

        def calls():
            with transaction.atomic():
                for number in range(PER_TRANSACTION):
                    way(number)
                transaction.set_rollback(True)

        return calls

    def committed(way):
        def call():
            with transaction.atomic():
                way(0)

        return call

    calls = in_turns({name: alone(way) for name, way in ways.items()}, rounds, 10)
    whole = in_turns({name: committed(way) for name, way in ways.items()}, rounds, 20)
    rows = [
        [name, *_figures(calls, name, PER_TRANSACTION), *_figures(whole, name, 1), _statements(way)]
        for name, way in ways.items()
    ]
    columns = ["enqueue() in a transaction", "the call", "ratio", "with commit", "ratio", "SQL"]
    show("Enqueue", columns, rows)
    site.clean()


def _enqueue(peer):
    return lambda number: peer.enqueue("nothing", number)


def _figures(samples, name, calls):
    bare = samples["a bare INSERT"]
    ratio = statistics.median(mine / base for mine, base in zip(samples[name], bare, strict=True))
    return f"{statistics.median(samples[name]) / calls:.0f} us", f"{ratio:.2f} x"


def _statements(way):
    """Return how many statements the call sends inside the transaction."""
    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext

    with transaction.atomic():
        with CaptureQueriesContext(connection) as queries:
            way(0)
        transaction.set_rollback(True)
    return len(queries)


def measure_many(site, peers, rounds):
    """Compare MANY jobs in one call with as many calls, each in a transaction of its own."""
    rows = []
    for peer in peers:
        ways = {
            "one by one": lambda peer=peer: [peer.enqueue("nothing", n) for n in range(MANY)],
            "at once": lambda peer=peer: peer.enqueue_many("nothing", range(MANY)),
        }
        samples = in_turns(ways, rounds, 1)
        pairs = zip(samples["one by one"], samples["at once"], strict=True)
        each = [f"{MANY / statistics.median(s) * 1e6:,.0f}/s" for s in samples.values()]
        rows.append([peer.title, *each, f"{statistics.median(a / b for a, b in pairs):.1f} x"])
        site.clean()
    show(f"Enqueue {MANY}", ["queue", "one by one", "at once", "ratio"], rows)
