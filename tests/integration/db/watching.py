"""The monitor on real servers: what the tests of lag, pins and faults share."""

from __future__ import annotations

import time

from scalekit.db.cluster import current_cluster
from scalekit.db.monitor.watching import monitor
from scalekit.db.rotation import rotation


def watch(*aliases):
    """Start the monitor, which no test environment does by itself, and wait for its first look."""
    monitor.watch(current_cluster())
    return until(lambda: all(monitor.sight_of(a).proven for a in aliases or _all()))


def _all():
    return list(current_cluster().owner)


def until(condition, seconds=5.0):
    """Return the seconds until something is so. Fails if it does not become so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not so within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - began


def out(alias):
    return lambda: not rotation.usable(alias)


def back(alias):
    return lambda: rotation.usable(alias)
