"""How many cores this process may use: those of the machine, cut down by affinity and by the container's quota."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "max 100000", or "150000 100000" for 1.5 cores


def usable_cores(quota: Path = QUOTA) -> float:
    """Return how many cores can be kept busy at the same time."""
    cores = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        cores = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):
        allowed, period = quota.read_text().split()
        if allowed != "max":
            cores = min(cores, int(allowed) / int(period))
    return cores
