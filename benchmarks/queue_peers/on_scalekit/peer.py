from __future__ import annotations

from benchmarks.queue_peers.base import DJANGO, Peer


class Scalekit(Peer):
    key = "scalekit"
    title = "scalekit"
    app = "benchmarks.queue_peers.on_scalekit"
    publishes_later = True

    def settings(self, redis):
        return {
            "INSTALLED_APPS": ["scalekit.queue", self.app],
            "TASKS": {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}},
            "SCALEKIT_QUEUE_BROKER": {
                "default": {
                    "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
                    "OPTIONS": {"url": redis},
                },
            },
            "SCALEKIT_QUEUE_MIN_BACKOFF": 1,
            "SCALEKIT_QUEUE_MAX_RETRIES": 20,
        }

    def worker(self, threads):
        return [*DJANGO, "run_workers", "--min=1", "--max=1", f"--threads={threads}"]

    def enqueue_many(self, job, numbers):
        from scalekit.queue import enqueue_many

        enqueue_many(getattr(self.tasks, job), [(number,) for number in numbers])


class Unrecorded(Scalekit):
    key = "scalekit-unrecorded"
    title = "scalekit, record=False"
    how = "@task(record=False)"

    def enqueue_many(self, job, numbers):
        super().enqueue_many(f"{job}_unrecorded", numbers)


PEERS = [Scalekit(), Unrecorded()]
