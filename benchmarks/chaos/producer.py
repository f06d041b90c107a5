"""The web site: `python -m benchmarks.chaos.producer FIRST END RATE` commits orders, each with a job, and counts failures."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import django

THREADS = 4


def request(peer, number):
    """Do what a view does: write, and enqueue a job for what was written."""
    from django.db import connection, transaction

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO chaos_order (job) VALUES (%s)", [number])
        peer.enqueue("storm", number)


class Pace:
    """Numbers from `first` to before `end`, at most `rate` a second over all threads."""

    def __init__(self, first, end, rate):
        self.numbers, self.pause = iter(range(first, end)), 1 / rate
        self.due = time.monotonic()
        self.lock = threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        """Return the next one when it is due; nobody makes up for the time that was lost, as visitors do not."""
        with self.lock:
            number, due = next(self.numbers), max(self.due, time.monotonic())
            self.due = due + self.pause
        time.sleep(max(0, due - time.monotonic()))
        return number


def browse(peer, pace):
    failed = 0
    for number in pace:
        try:
            request(peer, number)
        except Exception:  # noqa: BLE001 - what the visitor sees is an error page
            failed += 1
    return failed


def main(first, end, rate):
    django.setup()
    from benchmarks.queue_peers import peers

    peer, pace = peers()[os.environ["QUEUE_PEERS"]], Pace(first, end, rate)
    with ThreadPoolExecutor(THREADS) as pool:
        failed = sum(pool.map(browse, [peer] * THREADS, [pace] * THREADS))
    print(failed)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
