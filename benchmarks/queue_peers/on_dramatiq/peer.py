from __future__ import annotations

from benchmarks.queue_peers.base import PYTHON, Peer


class Dramatiq(Peer):
    key = "dramatiq"
    title = "dramatiq"
    app = "benchmarks.queue_peers.on_dramatiq"
    needs = "dramatiq"
    options: dict[str, object] = {}  # of its RedisBroker

    def settings(self, redis):  # noqa: ARG002 - it reads the environment
        return {"BENCH_DRAMATIQ_OPTIONS": self.options}

    def worker(self, threads):
        module = f"{self.app}.worker:broker"
        return [PYTHON, "-m", "dramatiq", module, "--processes=1", f"--threads={threads}"]


class Tuned(Dramatiq):
    key = "dramatiq-tuned"
    how = "heartbeat_timeout=15 s, maintenance_chance=10 %"
    options = {"heartbeat_timeout": 15_000, "maintenance_chance": 100_000}


PEERS = [Dramatiq(), Tuned()]
