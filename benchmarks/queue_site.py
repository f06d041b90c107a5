"""The servers and worker processes of `bench_queue`: one PostgreSQL and one Valkey for all peers."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager

from benchmarks.queue_peers import peers

THREADS = 8  # of the one worker process
PATIENCE = 120  # seconds


class Site:
    """The site in this process, and how to start a worker of any of its queues."""

    def __init__(self, topology, chosen):
        self.topology = topology
        # What was committed is on disk, as in production.
        self.postgres = topology.postgres("primary", settings={"fsync": "on"})
        self.valkey = topology.valkey(appendonly=True)
        self.env = {
            "DJANGO_SETTINGS_MODULE": "benchmarks.queue_peers.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "QUEUE_DATABASE": json.dumps(self.postgres.django_settings()),
            "QUEUE_REDIS": self.valkey.url,
            "QUEUE_PEERS": ",".join(peer.key for peer in chosen),
        }
        self.started = 0

    def open(self):
        """Be the site of all peers, with their tables."""
        os.environ.update(self.env)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)

    @contextmanager
    def worker(self, peer, **env):
        """Run one worker of `peer` for the length of a block."""
        self.started += 1
        env = {**self.env, "QUEUE_PEERS": peer.key, **env}
        worker = self.topology.process(f"worker_{self.started}", peer.worker(THREADS), env=env)
        try:
            yield worker
        finally:
            worker.kill()

    def clean(self):
        """Forget all jobs, wherever they wait."""
        self.valkey.flush()
        for table in JOB_TABLES:
            self.postgres.execute(
                f"DO $$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN TRUNCATE {table} CASCADE; END IF; END $$"
            )

    def heard(self, name, count):
        """Return what the jobs have told under `name`, once there are `count`."""
        from benchmarks.queue_peers.jobs import redis

        deadline = time.monotonic() + PATIENCE
        while redis().llen(name) < count:
            if time.monotonic() > deadline:
                sys.exit(f"only {redis().llen(name)} of {count} {name} within {PATIENCE} s")
            time.sleep(0.01)
        return [entry.decode() for entry in redis().lrange(name, 0, -1)]


JOB_TABLES = (
    *("scalekit_queue_taskrecord", "django_tasks_db_dbtaskresult", "django_dramatiq_task"),
    *("procrastinate_jobs", "procrastinate_workers"),
)


def present(keys):
    """Return the peers that are installed, and say which are not."""
    found = [peers()[key] for key in keys]
    for peer in [peer for peer in found if peer.missing]:
        print(f"{peer.title}: left out, {peer.needs} is not installed")
    return [peer for peer in found if not peer.missing]
