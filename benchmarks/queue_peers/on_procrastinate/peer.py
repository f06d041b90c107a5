from __future__ import annotations

from benchmarks.queue_peers.base import DJANGO, Peer


class Procrastinate(Peer):
    key = "procrastinate"
    title = "procrastinate"
    app = "benchmarks.queue_peers.on_procrastinate"
    needs = "procrastinate"
    uses_redis = False
    rescues = False

    def settings(self, redis):  # noqa: ARG002 - its queue is the database
        return {
            "INSTALLED_APPS": ["procrastinate.contrib.django", self.app],
            "BENCH_PROCRASTINATE_RESCUES": self.rescues,
        }

    def worker(self, threads):
        return [*DJANGO, "procrastinate", "worker", f"--concurrency={threads}"]

    def enqueue_many(self, job, numbers):
        task = getattr(self.tasks, job)
        task.configure().batch_defer(*({"number": number} for number in numbers))


class Rescuing(Procrastinate):
    key = "procrastinate-rescuing"
    how = "with the periodic task of its documentation that retries stalled jobs, each minute"
    rescues = True


PEERS = [Procrastinate(), Rescuing()]
