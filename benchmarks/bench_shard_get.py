"""What finding the shard costs a query: reads of a sharded model over those of a plain one, in turns.

One PostgreSQL server has the plain table and both shards, so all the difference is this process's own work.
Also ``bulk_create`` of the same rows into four shards and into one database.
"""

from __future__ import annotations

import sys
import time

import django
from django.conf import settings

from benchmarks.taking_turns import QUICK, compare, in_turns, rounds
from scalekit.testing.servers import Topology

TARGET, FAILED = 1.05, 1.5  # `get()` over a plain one; beyond the second it is no noise
SHARDS = ("shard_0", "shard_1", "shard_2", "shard_3")
ROWS = 4000


def configure(server):
    entries = {}
    for name in ("default", *SHARDS):
        server.create_database(name)
        entries[name] = server.django_settings(
            ENGINE="scalekit.db.backends.postgresql", NAME=name, CONN_MAX_AGE=None
        )
    settings.configure(
        DATABASES=entries,
        DATABASE_ROUTERS=["scalekit.db.router.Router"],
        INSTALLED_APPS=["scalekit.db", "benchmarks.shard_shop"],
        USE_TZ=True,
        SCALEKIT_DB_SHARDING={
            "users": {
                "BACKEND": "scalekit.db.sharding.slots.Slots",
                "OPTIONS": {"shards": list(SHARDS)},
            }
        },
    )
    django.setup()
    create_tables()


def create_tables():
    from django.db import connections, router

    from benchmarks.shard_shop.models import Order, PlainOrder

    for alias in connections:
        with connections[alias].schema_editor() as editor:
            for model in (Order, PlainOrder):
                if router.allow_migrate_model(alias, model):
                    editor.create_model(model)


def reads():
    """Return pairs of ways to read the same row: plain and sharded."""
    from benchmarks.shard_shop.models import Order, PlainOrder

    order = Order.objects.create(customer_id=7, note="a")
    PlainOrder.objects.create(id=order.pk, customer_id=7, note="a")
    pk = order.pk
    return {
        "get(pk=...)": (lambda: PlainOrder.objects.get(pk=pk), lambda: Order.objects.get(pk=pk)),
        "list(filter(customer_id=7)[:1])": (
            lambda: list(PlainOrder.objects.filter(customer_id=7)[:1]),
            lambda: list(Order.objects.filter(customer_id=7)[:1]),
        ),
        "filter(customer_id=7).exists()": (
            lambda: PlainOrder.objects.filter(customer_id=7).exists(),
            lambda: Order.objects.filter(customer_id=7).exists(),
        ),
    }


CLOCKS = {"time that passes": time.perf_counter, "this process alone": time.thread_time}


def print_reads(count):
    """Print each read's cost, plain and sharded; return the ratio of the first, `get()`, in time that passes.

    Of many short rounds, the quickest tenth ends at what is shown: these are what other processes have disturbed
    least. The work of this process alone leaves out the waiting for the server.
    """
    ratios = []
    print(f"{'':<54}{'plain':>10}{'sharded':>10}{'ratio':>8}")
    for name, (plain, sharded) in reads().items():
        for clock, tells in CLOCKS.items():
            times = in_turns({"plain": plain, "sharded": sharded}, count, 3, clock=tells)
            one, other = (sorted(samples)[count // 10] for samples in times.values())
            ratios.append(other / one)
            label = f"{name}, {clock}"
            print(f"{label:<54}{one:>7.1f} us{other:>7.1f} us{ratios[-1]:>8.3f}")
    return ratios[0]


def print_bulk(count):
    from benchmarks.shard_shop.models import Order, PlainOrder

    ids = iter(range(10**9, 10**12))
    print(f"\nbulk_create of {ROWS} rows")

    def one():
        PlainOrder.objects.bulk_create(
            [PlainOrder(id=next(ids), customer_id=n, note="a") for n in range(ROWS)]
        )

    def four():
        Order.objects.bulk_create([Order(customer_id=n, note="a") for n in range(ROWS)])

    compare({"into one database": one, "into four shards at once": four}, count, 1)


def main():
    count = rounds(__doc__)
    print(__doc__)
    with Topology() as topology:
        configure(topology.postgres("server"))
        from django.db import connections

        ratio = print_reads(count * 20)
        print_bulk(5 if count == QUICK else 15)
        connections.close_all()
    print(f"\ntarget: get() at most {TARGET}: {'met' if ratio <= TARGET else 'missed'}")
    return int(ratio > FAILED)


if __name__ == "__main__":
    sys.exit(main())
