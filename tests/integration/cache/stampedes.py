"""Processes that load one value at once."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

WORKER = Path(__file__).with_name("stampede_worker.py")
ROOT = Path(__file__).parents[3]


@contextmanager
def workers(url, count, *, threads=8, seconds=0.2, outcome="value"):
    """Give processes that are connected and wait for the start."""
    command = [sys.executable, str(WORKER), url, str(threads), str(seconds), outcome]
    started = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )
        for _ in range(count)
    ]
    try:
        for one in started:
            assert one.stdout.readline() == "ready\n"
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


def go(worker):
    worker.stdin.write("\n")
    worker.stdin.flush()


def answers(worker):
    """Wait for a worker, and return the answers of its threads with the seconds that each took."""
    return json.loads(worker.stdout.readline())


def commands(client):
    """Return how many commands the server has run, those inside of scripts too; not those of the tests."""
    stats = client.info("commandstats")
    own = {"cmdstat_info", "cmdstat_rpush", "cmdstat_flushall", "cmdstat_time"}
    own |= {
        name
        for name in stats
        if name.startswith(("cmdstat_client", "cmdstat_hello", "cmdstat_config"))
    }
    return sum(stat["calls"] for name, stat in stats.items() if name not in own)
