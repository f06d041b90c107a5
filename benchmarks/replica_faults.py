"""What a replica's death costs reads, and a primary's costs writes: the second half of `bench_replicas`."""

from __future__ import annotations

import time

from benchmarks.replica_sites import REPLICAS
from benchmarks.replica_workers import Worker, cluster, entries
from scalekit.testing.servers import Topology

RATE = 50  # requests a second
SLOW = 250  # ms: a request that took longer has felt the fault
FAULT_AT = 1.0  # seconds after the load began
NOTICED_AFTER = 1.5  # seconds after a primary's death until a standby is promoted


def print_dead_replica(workers, victim, seconds):
    """Print what kill -9 of a replica costs at a steady rate of reading requests."""
    print(
        f"\n{f'kill -9 of a replica, {RATE}/s':<26}{'failed':>10}{'slowest':>12}{'over after':>13}"
    )
    for name, worker in workers.items():
        if name == "plain Django":
            continue
        worker.do("load", "/read/1", "GET", RATE, 0.5)
        worker.begin("load", "/read/1", "GET", RATE, seconds)
        time.sleep(FAULT_AT)
        killed = time.monotonic()
        victim.kill()
        after = [r for r in worker.result() if r[0] + r[1] / 1000 >= killed]
        failed = sum(status >= 500 for *_, status in after)
        hurt = [due + ms / 1000 - killed for due, ms, status in after if status >= 500 or ms > SLOW]
        over = (
            "never"
            if hurt and hurt[-1] > seconds - FAULT_AT - 0.3
            else f"{max(hurt, default=0):.2f} s"
        )
        slowest = max(ms for _, ms, _ in after)
        print(f"{name:<26}{failed:>6}/{len(after)}{slowest:>9.0f} ms{over:>13}")
        victim.start()
        victim.wait_streaming()
        if name == "scalekit" and failed:
            yield f"{failed} requests failed when a replica died"


def promotion_settings(primary, standby):
    """Return entries that name both servers as the primary, as libpq and scalekit know to follow."""
    hosts = {"HOST": f"{primary.host},{standby.host}", "PORT": f"{primary.port},{standby.port}"}
    options = {"target_session_attrs": "read-write", "connect_timeout": 2}
    return {"default": {**primary.django_settings(), **hosts, "OPTIONS": options}}


def print_promotions(names, templates, seconds):
    """Print what a primary's death costs writes, and how soon they go on after a standby was promoted."""
    title = f"\n{f'the primary dies, {RATE}/s':<26}"
    print(
        f"{title}{'failed':>10}{'of them 503':>12}{'slowest':>12}{'promotion to first write':>26}"
    )
    for name in names:
        with Topology(templates=templates) as topology:
            results, killed, promoting = promoted_under_load(topology, name, seconds)
        after = [r for r in results if r[0] + r[1] / 1000 >= killed]
        ends = [due + ms / 1000 for due, ms, status in after if status < 400]
        done = [end - promoting for end in ends if end >= promoting]
        first = f"{min(done):.2f} s" if done else "never"
        failed = [status for *_, status in after if status >= 500]
        slowest = max(ms for _, ms, _ in after)
        figures = f"{len(failed):>6}/{len(after)}{failed.count(503):>12}{slowest:>9.0f} ms"
        print(f"{name:<26}{figures}{first:>26}")


def promoted_under_load(topology, name, seconds):
    """Return the writing requests of one site, when the primary died, and when the promotion began."""
    primary, standby = servers = cluster(topology, REPLICAS[:1])
    worker = Worker(name, entries(servers) | promotion_settings(primary, standby))
    worker.do("load", "/write", "POST", RATE, 0.5)
    worker.begin("load", "/write", "POST", RATE, seconds)
    time.sleep(FAULT_AT)
    killed = time.monotonic()
    primary.kill()
    time.sleep(NOTICED_AFTER)
    promoting = time.monotonic()
    standby.promote()
    results = worker.result()
    worker.end()
    return results, killed, promoting
