from __future__ import annotations

from benchmarks.queue_peers.base import PYTHON, Peer


class Celery(Peer):
    key = "celery"
    title = "Celery"
    app = "benchmarks.queue_peers.on_celery"
    needs = "celery"
    pool = "prefork"
    options: dict[str, object] = {}

    def settings(self, redis):
        return {
            "INSTALLED_APPS": [self.app],
            "CELERY_BROKER_URL": redis,
            "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": True,
            "CELERY_TASK_DEFAULT_QUEUE": "celery_bench",
            **self.options,
        }

    def worker(self, threads):
        return [
            *(PYTHON, "-m", "celery", "--app", f"{self.app}.app", "worker"),
            *(f"--pool={self.pool}", f"--concurrency={threads}", "--hostname=%(pid)s@bench"),
            *("--without-gossip", "--without-mingle", "--loglevel=WARNING"),
        ]


class Late(Celery):
    key = "celery-late"
    how = "acks_late, reject_on_worker_lost, prefetch 1, visibility_timeout=30 s"
    options = {
        "CELERY_TASK_ACKS_LATE": True,
        "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
        "CELERY_WORKER_PREFETCH_MULTIPLIER": 1,
        "CELERY_BROKER_TRANSPORT_OPTIONS": {"visibility_timeout": 30},
    }


class Threads(Celery):
    """For figures of one process: eight threads, as the others have."""

    key = "celery-threads"
    title = "Celery, --pool=threads"
    how = "one process"
    pool = "threads"


PEERS = [Celery(), Late(), Threads()]
