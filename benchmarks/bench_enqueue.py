"""What enqueueing a Task costs over a bare Dramatiq actor's `send`: the same message to the same Valkey.

Samples are taken in turns, so that what else the machine does falls on all of them. The figure is the
ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import django
from django.conf import settings

QUICK, FULL = 20, 200  # rounds of PER_ROUND jobs each
PER_ROUND = 50


def configure(url):
    settings.configure(
        INSTALLED_APPS=["scalekit.queue"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        TASKS={"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}},
        SCALEKIT_QUEUE_BROKER={
            "default": {
                "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
                "OPTIONS": {"url": url, "namespace": "scalekit"},
            },
        },
        USE_TZ=True,
    )
    django.setup()


def contestants(url):
    """Return the ways to enqueue, by name; each takes one argument."""
    import dramatiq
    from django.db import transaction
    from dramatiq.brokers.redis import RedisBroker

    from benchmarks.enqueue_tasks import resize

    bare = dramatiq.actor(
        resize.func, broker=RedisBroker(url=url, namespace="bare"), actor_name="resize"
    )

    def in_a_transaction(number):
        with transaction.atomic():
            resize.enqueue(number)

    return {
        "dramatiq actor.send()": bare.send,
        "scalekit task.enqueue()": resize.enqueue,
        "scalekit task.enqueue() in atomic()": in_a_transaction,
    }


def sample(enqueue):
    """Return the microseconds that one job took, over a round."""
    begin = time.perf_counter()
    for number in range(PER_ROUND):
        enqueue(number)
    return (time.perf_counter() - begin) / PER_ROUND * 1e6


def measure(ways, rounds):
    samples = {name: [] for name in ways}
    for enqueue in ways.values():
        sample(enqueue)
    for _ in range(rounds):
        for name, enqueue in ways.items():
            samples[name].append(sample(enqueue))
    return {name: statistics.median(values) for name, values in samples.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    rounds = QUICK if parser.parse_args().quick else FULL
    from scalekit.testing.servers import Topology

    with Topology() as topology:
        url = topology.valkey().url
        configure(url)
        medians = measure(contestants(url), rounds)
    bare = next(iter(medians.values()))
    for name, microseconds in medians.items():
        print(f"{name:<38}{microseconds:8.0f} us{microseconds / bare:8.2f} x")


if __name__ == "__main__":
    main()
