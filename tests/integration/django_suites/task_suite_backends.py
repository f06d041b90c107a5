"""Our backend behind the two faces that Django's tests ask for: one that only stores, and one that runs at once."""

from __future__ import annotations

from scalekit.queue.backend import DramatiqBackend
from scalekit.queue.models import TaskRecord
from scalekit.testing.queue import run_jobs


class Waiting(DramatiqBackend):
    """Nothing runs; `results` and `clear` are what Django's dummy has beside its contract."""

    def __init__(self, alias, params):
        super().__init__(alias, params)
        self._ids = []

    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        self._ids.append(result.id)
        return result

    @property
    def results(self):
        return [self.get_result(id_) for id_ in self._ids]

    def clear(self):
        self._ids.clear()
        TaskRecord.objects.all().delete()


class AtOnce(DramatiqBackend):
    """A worker runs in the calling thread as soon as a job is there."""

    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        run_jobs(raise_errors=False)
        result.refresh()
        return result
