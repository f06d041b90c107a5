"""What the benchmarks ask of a queue."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

PYTHON = sys.executable
DJANGO = [PYTHON, "-m", "django"]


class Peer:
    """One queue in one configuration. `how` says in a line what differs from its defaults."""

    key = ""  # in QUEUE_PEERS, and on the command line
    title = ""
    how = "defaults"
    app = ""  # the package with its `tasks.py`
    needs = ""  # the distribution on PyPI; empty for our own
    retries = True  # whether a job that raised is run again
    publishes_later = False  # whether it has a relay that can be killed
    uses_redis = True

    def settings(self, redis):
        """Return the Django settings that it needs; lists and dicts are added to those of others."""
        raise NotImplementedError

    def worker(self, threads):
        """Return the command of one worker, which runs `threads` jobs at a time."""
        raise NotImplementedError

    @property
    def missing(self):
        return bool(self.needs) and find_spec(self.needs.replace("-", "_")) is None

    @property
    def version(self):
        return version(self.needs) if self.needs else ""

    @property
    def tasks(self):
        """Its jobs; Django must be set up."""
        return import_module(f"{self.app}.tasks")

    def enqueue(self, job, number):
        """Enqueue one job, which may not run before the open transaction has committed."""
        self.tasks.enqueue(getattr(self.tasks, job), number)

    def enqueue_many(self, job, numbers):
        for number in numbers:
            self.enqueue(job, number)
