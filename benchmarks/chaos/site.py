"""One peer's site: its database, its workers and what keeps them running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.chaos.ledger import Ledger

WORKERS, THREADS = 2, 4
RESTARTS_AFTER = 1.0  # seconds, as a unit of systemd with Restart=always
NOT_WORKERS = ("run_relay", "resource_tracker", "semaphore_tracker")
POLL = 0.2
WARM = 40  # jobs
LONGEST_START = 60  # seconds


class Site:
    def __init__(self, topology, postgres, valkey, peer, **settings):
        self.topology, self.peer, self.valkey = topology, peer, valkey
        name = peer.key.replace("-", "_")
        postgres.create_database(name)
        self.access = postgres.access(name)
        self.ledger = Ledger(self.access)
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.queue_peers.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "QUEUE_PEERS": peer.key,
            "QUEUE_DATABASE": json.dumps(self.access.django_settings),
            "QUEUE_REDIS": valkey.url,
            "QUEUE_STUMBLES": str(int(peer.retries)),
            "QUEUE_SETTINGS": json.dumps(settings),
        }
        self.workers = []
        self._closing = threading.Event()

    def open(self):
        """Make the tables and start the workers."""
        self.valkey.flush()
        command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        subprocess.run(command, env=self.env, check=True)
        self.ledger.open()
        count, threads = (WORKERS, THREADS) if self.concurrent else (WORKERS * THREADS, 1)
        name = self.peer.key.replace("-", "_")
        self.workers = [
            self.topology.process(f"{name}_{n}", self.peer.worker(threads), env=self.env)
            for n in range(count)
        ]
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()
        self._warm_up()

    def _warm_up(self):
        """Return when the workers have done something, and forget that they did."""
        self.produce(0, WARM, 2 * WARM).communicate()
        deadline = time.monotonic() + LONGEST_START
        while self.ledger.counts().lost and time.monotonic() < deadline:
            time.sleep(0.2)
        self.ledger.clear()

    @property
    def concurrent(self):
        return "one job at a time" not in self.peer.how

    def produce(self, first, end, rate):
        """Start the web site; it ends after the orders `first` to before `end`."""
        numbers = map(str, (first, end, rate))
        command = [sys.executable, "-m", "benchmarks.chaos.producer", *numbers]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True)

    def close(self):
        self._closing.set()
        self._keeper.join()
        for worker in self.workers:
            worker.kill()

    def _keep_running(self):
        while not self._closing.wait(POLL):
            for worker in [w for w in self.workers if not w.running]:
                worker.kill()  # what is left of it
                if not self._closing.wait(RESTARTS_AFTER):
                    worker.start()

    def processes(self, worker):
        """Return the processes of a worker that run jobs; where it has children, its first does not."""
        working = {pid for pid in worker.pids if not any(n in command(pid) for n in NOT_WORKERS)}
        return sorted(working - {worker.pid}) or sorted(working)

    def relays(self):
        return [pid for w in self.workers for pid in w.pids if "run_relay" in command(pid)]


def command(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def kill(pid):
    """End one process as the kernel does when memory is short; tell whether it was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
