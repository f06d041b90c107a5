"""The queue beside what a project would use instead: enqueueing, starting, running, publishing, recovering.

`--quick` takes fewer samples; `--only enqueue many latency throughput relay recovery` some of the figures.
What each loses under faults is another command: `python -m benchmarks.chaos`.
"""

from __future__ import annotations

import argparse

from benchmarks import queue_enqueue, queue_running
from benchmarks.queue_site import Site, present

PRODUCERS = (
    *("scalekit", "procrastinate", "django-tasks-db"),
    *("dramatiq", "django-dramatiq", "celery-threads"),
)
MANY = ("scalekit", "procrastinate")
WORKERS = (
    *("dramatiq", "scalekit-unrecorded", "scalekit", "django-dramatiq"),
    *("celery-threads", "procrastinate", "django-tasks-db"),
)
LATENCIES = ("scalekit", "dramatiq", "celery-threads", "procrastinate", "django-tasks-db")


def parts(site, quick):
    """Return what is measured, by name."""
    ours = present(["scalekit"])[0]
    return {
        "enqueue": lambda: queue_enqueue.measure_enqueue(
            site, present(PRODUCERS), 15 if quick else 60
        ),
        "many": lambda: queue_enqueue.measure_many(site, present(MANY), 3 if quick else 15),
        "latency": lambda: queue_running.measure_latency(
            site, present(LATENCIES), 60 if quick else 500
        ),
        "throughput": lambda: queue_running.measure_throughput(
            site, present(WORKERS), *((1000, 2) if quick else (5000, 5))
        ),
        "relay": lambda: queue_running.measure_relay(site, ours, 3000 if quick else 20_000),
        "recovery": lambda: queue_running.measure_recovery(site, ours, 1 if quick else 5),
    }


def main():
    names = ["enqueue", "many", "latency", "throughput", "relay", "recovery"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    print(__doc__)
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        site = Site(topology, present(dict.fromkeys([*PRODUCERS, *WORKERS])))
        site.open()
        measures = parts(site, options.quick)
        for name in options.only:
            measures[name]()


if __name__ == "__main__":
    main()
