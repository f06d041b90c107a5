"""The loss table: `python -m benchmarks.chaos --jobs 10000`; `--quick` for a short one, `--only scalekit` for one peer."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.cache_tables import show
from benchmarks.chaos.faults import Storm, write_always
from benchmarks.chaos.ledger import stumbles
from benchmarks.chaos.site import THREADS, WARM, Site
from benchmarks.queue_peers import peers

RATE = 100  # orders a second
COLUMNS = [
    *("queue", "orders", "lost", "runs too many", "effects too many"),
    *("requests failed", "slowest job", "kills: worker, relay, Redis"),
]
LEFT_OUT = {"scalekit-unrecorded", "celery-threads"}  # for other figures


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="1,500 jobs, 45 s of patience")
    parser.add_argument("--only", nargs="+", metavar="PEER", help=", ".join(peers()))
    parser.add_argument(
        "--patience", type=float, default=120, help="seconds without progress that end the wait"
    )
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.patience = 1500, 45
    return options


def settle(site, patience):
    """Wait until no job is owed, or none has come for `patience` seconds; return the counts."""
    best, since = None, time.monotonic()
    while time.monotonic() - since < patience:
        counts = site.ledger.counts()
        if not counts.lost:
            break
        if counts.effects != best:
            best, since = counts.effects, time.monotonic()
        time.sleep(0.5)  # to count is work for the database, too
    time.sleep(2)  # whoever still runs something too often
    return site.ledger.counts()


def weather(site, options):
    """Let the storm rage over a site; return a row of the table, and whether nothing was lost."""
    first, end = WARM, WARM + options.jobs
    producer = site.produce(first, end, RATE)
    storm = Storm(site, options.jobs / RATE)
    storm.rage()
    failed = int(producer.communicate()[0] or 0)
    counts = settle(site, options.patience)
    owed = counts.orders + (stumbles(first, end) if site.peer.retries else 0)
    extra = max(0, counts.runs - owed)
    row = [
        f"{site.peer.title} {site.peer.version}".strip(),
        counts.orders,
        counts.lost,
        f"{extra} (bound {storm.kills * THREADS})",
        counts.effects - (counts.orders - counts.lost),
        failed,
        f"{counts.slowest:.1f} s",
        f"{storm.kills}, {storm.relay_kills}, {storm.redis_kills}",
    ]
    return row, not counts.lost and not counts.unordered


def main():
    options = arguments()
    chosen = [peers()[key] for key in options.only or peers() if key not in LEFT_OUT]
    rows, ours = [], True
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        postgres = topology.postgres("primary", settings={"max_connections": 200})
        valkey = topology.valkey(appendonly=True)
        for peer in chosen:
            if peer.missing:
                print(f"{peer.title}: left out, {peer.needs} is not installed", flush=True)
                continue
            write_always(valkey)
            site = Site(topology, postgres, valkey, peer)
            site.open()
            try:
                row, nothing_lost = weather(site, options)
            finally:
                site.close()
            print(f"{peer.key} ({peer.how}): {row[1:]}", flush=True)
            rows.append([row[0] + ("" if peer.how == "defaults" else "*"), *row[1:]])
            ours = ours and (nothing_lost or not peer.key.startswith("scalekit"))
    show("What was lost", COLUMNS, rows)
    for peer in chosen:
        if peer.how != "defaults":
            print(f"* {peer.title}: {peer.how}")
    return 0 if ours else 1


if __name__ == "__main__":
    sys.exit(main())
