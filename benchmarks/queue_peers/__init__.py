"""The queues that a Django project could use instead, each set up as its own documentation says.

One folder each: `peer.py` says how it is configured and started, `tasks.py` declares the same three jobs
in its own words. What the jobs do is in `jobs.py`, and the same for all.
"""

from __future__ import annotations

from importlib import import_module

FOLDERS = ("scalekit", "dramatiq", "django_dramatiq", "celery", "procrastinate", "tasks_db")


def peers():
    """Return every set-up by its key, in the order of the tables."""
    found = [
        peer
        for folder in FOLDERS
        for peer in import_module(f"benchmarks.queue_peers.on_{folder}.peer").PEERS
    ]
    return {peer.key: peer for peer in found}
