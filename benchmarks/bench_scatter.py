"""scatter() over four shards: beside the slowest of them alone, and beside one database with all rows.

All databases are on one PostgreSQL server of this machine. On two cores, four shards that compute can not
take the time of one: there, work of the servers counts twice over, and that of Python, which builds the rows
of all shards in one process, four times. What a site with a server for each shard sees is the row in
which shards wait for their disks (20 ms).
"""

from __future__ import annotations

import os
import sys
import time

from benchmarks.bench_shard_get import SHARDS, configure
from benchmarks.taking_turns import QUICK, in_turns, rounds
from scalekit.testing.servers import Topology

ROWS = 25_000  # on each shard
TARGET, FAILED = 1.3, 2.5  # waiting shards over the slowest alone; beyond the second it is no noise


def fill():
    from django.db import connections

    sql = (
        "INSERT INTO {table} (id, customer_id, note) SELECT n, n, md5(n::text) "
        "FROM generate_series(%s::bigint, %s::bigint) AS n"
    )
    for place, alias in enumerate(SHARDS):
        first = 1 + place * ROWS
        for there, table in ((alias, "shard_shop_order"), ("default", "shard_shop_plainorder")):
            with connections[there].cursor() as cursor:
                cursor.execute(sql.format(table=table), [first, first + ROWS - 1])
                cursor.execute(f"ANALYZE {table}")


def waiting(rows):
    from django.db.models.expressions import RawSQL

    return rows.order_by("id").annotate(waited=RawSQL("pg_sleep(0.02)::text", ()))[:1]


QUESTIONS = {
    "shards that wait 20 ms each": (waiting, 1),
    'order_by("-id")[:20]': (lambda rows: rows.order_by("-id")[:20], 5),
    "count()": (lambda rows: rows.filter(note__gt="8"), 5),
}


def ask(rows, question, name):
    asked = question(rows)
    return asked.count() if name == "count()" else list(asked)


def print_questions(count):
    """Print each question's cost, of the slowest shard and of all; return the ratio of the first.

    Of many short rounds the best counts: it is what another process has disturbed least.
    """
    from benchmarks.shard_shop.models import Order

    print(f"{'':<32}{'slowest shard':>16}{'four shards':>14}{'ratio':>9}")
    ratios = []
    for name, (question, calls) in QUESTIONS.items():
        ways = {
            alias: lambda alias=alias, q=question, n=name: ask(Order.objects.using(alias), q, n)
            for alias in SHARDS
        }
        ways["scatter"] = lambda q=question, n=name: ask(Order.objects.scatter(), q, n)
        samples = in_turns(ways, count, calls)
        mine = samples.pop("scatter")
        slowest = max(map(min, samples.values()))
        ratios.append(min(mine) / slowest)
        took = slowest / 1000, min(mine) / 1000
        print(f"{name:<32}{took[0]:>13.2f} ms{took[1]:>11.2f} ms{ratios[-1]:>7.2f} x")
    return ratios[0]


def print_merges(count):
    """Print what it costs to read 100,000 rows in order: from one database, and from four shards."""
    from benchmarks.shard_shop.models import Order, PlainOrder

    print(
        f"\n{f'{ROWS * len(SHARDS):,} rows in order':<32}{'one database':>16}{'four shards':>14}{'ratio':>9}"
    )
    shapes = {
        'order_by("id"), tuples': lambda rows: rows.order_by("id").values_list("id", "note"),
        'order_by("-customer_id"), tuples': lambda rows: rows.order_by("-customer_id").values_list(
            "note"
        ),
        'order_by("note"), tuples': lambda rows: rows.order_by("note").values_list("id", "note"),
        'order_by("id"), instances': lambda rows: rows.order_by("id"),
        "the same, iterator()": lambda rows: rows.order_by("id").iterator(),
    }
    for name, shape in shapes.items():
        one, all_of_them = [], []
        for _ in range(count):
            one.append(seconds(lambda s=shape: list(s(PlainOrder.objects.all()))))
            all_of_them.append(seconds(lambda s=shape: list(s(Order.objects.scatter()))))
        took = min(one) * 1000, min(all_of_them) * 1000
        print(f"{name:<32}{took[0]:>13.0f} ms{took[1]:>11.0f} ms{took[1] / took[0]:>7.2f} x")


def seconds(way):
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def main():
    count = rounds(__doc__)
    print(__doc__)
    with Topology() as topology:
        configure(topology.postgres("server"))
        fill()
        ratio = print_questions(count)
        print_merges(3 if count == QUICK else 9)
        print(
            f"\n{os.cpu_count()} cores; at most {TARGET} times the slowest shard is the aim where shards wait"
        )
    if ratio > FAILED:
        print(f"four waiting shards took {ratio:.2f} times the slowest", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
