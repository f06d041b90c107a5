"""Replicas, beside plain Django and the packages one would pick instead: costs, and what faults cost.

Real PostgreSQL servers of this machine, each site in a process of its own, in turns. Peers: plain Django
(one server), django-multidb-router 0.11 and django-replicated 2.7, both of which still run on Django 5.2.
"""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.replica_faults import print_dead_replica, print_promotions
from benchmarks.replica_sites import installed
from benchmarks.replica_workers import Worker, cluster, entries
from benchmarks.taking_turns import QUICK, rounds
from scalekit.testing.servers import Topology

SETTLED = 2.5  # seconds after which whoever watches replicas knows that they are well again


def print_costs(workers, count):
    """Print what routing costs a query, and an ORM ``get``, in turns."""
    samples = {name: ([], []) for name in workers}
    for _ in range(count):
        for name, worker in workers.items():
            samples[name][0].append(worker.get("/time/routing/1000")["ns"] / 1000)
            samples[name][1].append(worker.get("/time/get/100")["ns"] / 1000)
    plain = samples["plain Django"]
    print(f"\n{'':<26}{'router':>10}{'ORM get':>12}{'ratio':>9}")
    for name, (routing, gets) in samples.items():
        ratio = statistics.median(mine / base for mine, base in zip(gets, plain[1], strict=True))
        took = statistics.median(routing), statistics.median(gets)
        print(f"{name:<26}{took[0]:>7.2f} us{took[1]:>9.1f} us{ratio:>7.2f} x")


def print_queries(workers):
    """Print the statements that a request sends beyond its page's one; return what is too many of ours."""
    print(f"\n{'added statements':<26}{'reading':>10}{'writing':>12}")
    for name, worker in workers.items():
        worker.get("/count")
        added = []
        for path, method in [("/read/1", "GET"), ("/write", "POST")]:
            worker.get("/counted")
            worker.get(path, method)
            added.append(worker.get("/counted")["statements"] - 1)
        print(f"{name:<26}{added[0]:>10}{added[1]:>12}")
        if name == "scalekit" and (added[0] > 0 or added[1] > 1):
            yield f"scalekit adds {added[0]} statements to a read and {added[1]} to a write"


def print_after_writes(workers, replicas, count):
    """Print who reads what right after a write, from where; at the end with replicas that stand still."""
    print(
        f"\n{'the read after a write':<26}{'at once':>16}{'after 0.2 s':>16}{'replicas stuck':>16}"
    )
    found = {
        name: [worker.do("visitors", count, 0), worker.do("visitors", count // 4, 0.2)]
        for name, worker in workers.items()
    }
    for replica in replicas:
        replica.pause_replay()
    for name, worker in workers.items():
        found[name].append(worker.do("visitors", count, 0))
    for replica in replicas:
        replica.resume_replay()
        replica.catch_up()
    for name, results in found.items():
        cells = [f"{r['on_replica']:.0%} / {r['stale']:.0%}" for r in results]
        print(f"{name:<26}" + "".join(f"{cell:>16}" for cell in cells))
    print("(share read from a replica / share that did not see the write)")
    if any(result["stale"] for result in found["scalekit"]):
        yield "scalekit showed a visitor the past"
    time.sleep(SETTLED)


def main():
    count = rounds(__doc__)
    quick = count == QUICK
    print(__doc__)
    faults = []
    with Topology() as topology:
        servers = cluster(topology)
        workers = {name: Worker(name, entries(servers)) for name in installed()}
        print_costs(workers, count // 2)
        faults += print_queries(workers)
        faults += print_after_writes(workers, servers[1:], 24 if quick else 200)
        faults += print_dead_replica(workers, servers[1], 2.5 if quick else 10)
        for worker in workers.values():
            worker.end()
        names = ["scalekit"] if quick else ["plain Django", "scalekit"]
        print_promotions(names, topology.templates, 3.5 if quick else 8)
    if faults:
        sys.exit("; ".join(faults))


if __name__ == "__main__":
    main()
