"""Tasks about their own records."""

from __future__ import annotations

import os
import time

from scalekit.queue import task
from tests.integration.queue.project.tasks import write


@task
def give_pid(seconds):
    """Work, and return which process did."""
    write(f"begun {os.getpid()}")
    time.sleep(seconds)
    write(f"finished {os.getpid()}")
    return os.getpid()


@task(unique_for=3600)
def once(name):
    write(name)


@task(max_retries=0, time_limit=1)
def spin():
    """Run longer than allowed, in Python code."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)
