from __future__ import annotations

from benchmarks.queue_peers.base import DJANGO, Peer


class TasksDb(Peer):
    key = "django-tasks-db"
    title = "django-tasks-db"
    how = "defaults; a worker runs one job at a time, so there are as many as others have threads"
    app = "benchmarks.queue_peers.on_tasks_db"
    needs = "django-tasks-db"
    retries = False
    uses_redis = False

    def settings(self, redis):  # noqa: ARG002 - its queue is the database
        backend = {"BACKEND": "django_tasks_db.DatabaseBackend"}
        return {"INSTALLED_APPS": ["django_tasks_db", self.app], "TASKS": {"tasks_db": backend}}

    def worker(self, threads):  # noqa: ARG002 - it has one
        return [*DJANGO, "db_worker", "--backend=tasks_db", "--no-startup-delay"]


PEERS = [TasksDb()]
