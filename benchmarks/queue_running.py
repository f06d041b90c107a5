"""Running: from commit to start, no-ops a second, what the relay publishes, and back after kill -9."""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.cache_tables import show
from benchmarks.chaos.site import NOT_WORKERS, command, kill
from benchmarks.queue_site import PATIENCE

PACE = 0.03  # seconds between two jobs, of which each is begun before the next is enqueued
WARM = 5


def measure_latency(site, peers, count):
    """From the commit to the first line of the job, on a worker that is idle."""
    rows = []
    for peer in peers:
        site.clean()
        with site.worker(peer):
            waits = sorted(_waits(site, peer, count))
        rows.append([peer.title, *(f"{_quantile(waits, q) * 1e3:.1f} ms" for q in (0.5, 0.99))])
    show("From commit to start", ["queue", "p50", "p99"], rows)


def _waits(site, peer, count):
    from django.db import transaction

    committed = {}
    for number in range(count + WARM):
        with transaction.atomic():
            transaction.on_commit(lambda n=number: committed.update({n: time.time()}))
            peer.enqueue("note_start", number)
        site.heard("starts", number + 1)
        time.sleep(PACE)
    started = dict(line.split() for line in site.heard("starts", count + WARM))
    return [float(started[str(n)]) - committed[n] for n in range(WARM, count + WARM)]


def _quantile(values, q):
    return values[min(len(values) - 1, int(q * len(values)))]


def measure_throughput(site, peers, count, rounds):
    """No-ops a second of one worker process, from its first job to its last."""
    rates = {peer.key: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            rates[peer.key].append(_rate(site, peer, count))
    rows = []
    for peer in peers:
        mine, bare = rates[peer.key], rates["dramatiq"]
        ratio = statistics.median(m / b for m, b in zip(mine, bare, strict=True))
        rows.append([peer.title, f"{statistics.median(mine):,.0f}/s", f"{ratio:.2f}"])
    show("No-ops a second", ["queue", "one process, 8 threads", "of bare dramatiq"], rows)


def _rate(site, peer, count):
    site.clean()
    peer.enqueue_many("nothing", range(count))
    with site.worker(peer, QUEUE_COUNT=str(count)):
        first, last = map(float, site.heard("ends", 2))
    return (count - 1) / (last - first)


def measure_relay(site, peer, count):
    """What the relay alone publishes: rows whose transaction committed and whose process then died."""
    from scalekit.queue.models import TaskRecord

    site.clean()
    peer.enqueue_many("nothing", range(count))
    site.valkey.flush()
    table = TaskRecord._meta.db_table  # noqa: SLF001 - documented by Django
    site.postgres.execute(f"UPDATE {table} SET publish_at = now(), publications = 0")
    argv = [*peer.worker(1)[:3], "run_relay"]
    relay = site.topology.process("relay", argv, env=site.env)
    first = _published(site, table, 1)
    last = _published(site, table, count)
    relay.kill()
    show("Relay", ["rows", "messages a second"], [[count, f"{count / (last - first):,.0f}/s"]])


def _published(site, table, count):
    sql = f"SELECT count(*) FROM {table} WHERE publications > 0 AND publish_at > now() + interval '40 s'"
    deadline = time.monotonic() + PATIENCE
    while site.postgres.value(sql) < count:
        if time.monotonic() > deadline:
            sys.exit(f"the relay did not publish {count} rows within {PATIENCE} s")
        time.sleep(0.02)
    return time.monotonic()


def measure_recovery(site, peer, trials):
    """From kill -9 of a worker to the moment at which its job runs again."""
    waits = []
    for number in range(trials):
        site.clean()
        with site.worker(peer) as worker:
            peer.enqueue("stall", number)
            site.heard("starts", 1)
            for pid in _workers(worker):
                kill(pid)
            killed = time.time()
            again = site.heard("starts", 2)[1]
        waits.append(float(again.split()[1]) - killed)
    figures = f"{min(waits):.1f} to {max(waits):.1f} s"
    show("Back after kill -9", ["trials", "until the job ran again"], [[trials, figures]])


def _workers(worker):
    children = worker.pids - {worker.pid}
    return [pid for pid in children if not any(name in command(pid) for name in NOT_WORKERS)]
