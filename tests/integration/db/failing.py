"""A cluster of a test's own, to be broken, and sites that read from it meanwhile."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from django.db import close_old_connections, connections

from scalekit.core.context import unit_of_work
from scalekit.core.events import events
from scalekit.db.backends.postgresql import following
from scalekit.db.backends.postgresql.base import DatabaseWrapper
from scalekit.db.backends.postgresql.timelines import timelines
from scalekit.db.outage.state import outages


def customers():
    from tests.db.shop.models import Customer

    return Customer.objects


def forget_servers():
    """Know nothing of any server, as a new process does."""
    outages.forget()
    timelines.forget()
    following._last.clear()
    following._doubted.clear()
    following._surveyed.clear()
    for pool in list(DatabaseWrapper._connection_pools.values()):
        pool.close()
    DatabaseWrapper._connection_pools.clear()


@contextmanager
def heard(*names):
    """Collect (name, payload) of some events."""
    told = []
    ends = [
        events[name].subscribe(lambda event, payload: told.append((event.name, payload)))
        for name in names
    ]
    try:
        yield told
    finally:
        for end in ends:
            end()


def read_in_a_request():
    with unit_of_work():
        return customers().get(name="Ann").name


@dataclass
class Tally:
    """What became of many calls: how long each took, and what failed."""

    seconds: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    @property
    def slowest(self):
        return max(self.seconds)


@contextmanager
def calling(call=read_in_a_request, threads=4, rate=None):
    """Call in `threads` threads for the length of the block, each `rate` times a second."""
    tally, stop = Tally(), threading.Event()

    def work():
        while not stop.is_set():
            started = time.monotonic()
            try:
                call()
            except Exception as error:  # noqa: BLE001 - whatever fails is counted
                tally.failures.append(error)
            close_old_connections()
            took = time.monotonic() - started
            tally.seconds.append(took)
            if rate:
                stop.wait(max(0, 1 / rate - took))
        with suppress(Exception):
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield tally
    finally:
        stop.set()
        for worker in workers:
            worker.join(30)


def eventually(condition, seconds=10):
    """Return whether `condition` came true in time, and after how many seconds."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - started
