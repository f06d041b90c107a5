"""The TASKS backend: ``{"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}``."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from scalekit.queue.calls import read_call
from scalekit.queue.checks import check_app_is_installed
from scalekit.queue.exceptions import MessageRefused, TaskUnknown
from scalekit.queue.frameworks import BACKPORT, PRIMARY, framework, framework_behind
from scalekit.queue.results import announce_enqueued, result_of, stored_result
from scalekit.queue.sharding import for_shard
from scalekit.queue.tasks import scale_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.core.checks import CheckMessage
    from django.tasks.backends.base import BaseTaskBackend as Base

    from scalekit.queue.models import TaskRecord
else:
    Base = framework().backends.BaseTaskBackend


class OnDramatiq:
    """What the backends of both Tasks frameworks do; each framework's base class does the validating."""

    runs_on_dramatiq = True
    supports_async_task = True
    supports_defer = True
    supports_get_result = True
    supports_priority = True

    alias: str  # set by the framework's base class
    package: str  # of the framework

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Store a job that calls `task` in the open transaction, and publish it once that has committed.

        Returns its result, or that of the job which is the same one, where `task` is unique. Raises
        TypeError for arguments that are no JSON, and changes nothing then.
        """
        self.validate_task(task)  # type: ignore[attr-defined]  # of the framework's base class
        return self._store(task, args, kwargs)

    def enqueue_many(self, task: Any, calls: Iterable[Any]) -> list[Any]:
        """Do the same for each of `calls`, in one statement and one call of the broker."""
        from scalekit.queue.outbox import put
        from scalekit.queue.records import new_row

        self.validate_task(task)  # type: ignore[attr-defined]  # of the framework's base class
        read = [read_call(call) for call in calls]
        if (
            getattr(task, "unique_for", None) is not None
            or getattr(task, "shard", None) is not None
        ):
            return [self._store(task, args, kwargs) for args, kwargs in read]
        rows = [new_row(task, args, kwargs) for args, kwargs in read]
        if rows:
            put(rows)
        return [_enqueued(row, task) for row in rows]

    def _store(self, task: Any, args: Any, kwargs: Any) -> Any:
        from scalekit.queue.outbox import put, put_unique
        from scalekit.queue.records import new_row

        row = new_row(task, args, kwargs)
        with for_shard(task, row.args, row.kwargs):
            if row.unique_key is None:
                put([row])
                return _enqueued(row, task)
            holder = put_unique(row)
        return _enqueued(row, task) if holder is row else result_of(holder, task)

    def get_result(self, result_id: Any) -> Any:
        """Return what is known of a job. Raises TaskResultDoesNotExist: never enqueued, not kept, or forgotten."""
        missing = framework(self.package).exceptions.TaskResultDoesNotExist
        try:
            result = stored_result(result_id, self.alias)
        except (MessageRefused, TaskUnknown) as error:
            raise missing(f"{result_id}: {error}") from error
        if result is None or framework_behind(result.task) is not framework(self.package):
            raise missing(result_id)
        return result

    def check(self, **_: Any) -> Iterator[CheckMessage]:
        """Django asks each backend; ours checks the rest in its app, and here that the app is there."""
        return check_app_is_installed()


class DramatiqBackend(OnDramatiq, Base):  # type: ignore[misc]  # check() yields, Django accepts both
    """Run Tasks on Dramatiq workers; SCALEKIT_QUEUE_BROKER says where they wait.

    Where Django and the backport are both in use, both read TASKS, and each gets a backend of its own
    kind from this one path.
    """

    package = PRIMARY
    task_class = scale_task(PRIMARY)

    def __new__(cls, alias: str, params: dict[str, Any]) -> Any:
        # Nothing that the two hand over differs but who calls.
        caller = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001 - who makes it tells the framework
        if caller == BACKPORT != PRIMARY:
            return _backport_twin()(alias, params)
        return super().__new__(cls)


def enqueue_many(task: Any, arguments: Iterable[Any]) -> list[Any]:
    """Enqueue `task` once for each of `arguments`, and return the results, in one INSERT and one publication.

    Each is a tuple of positional arguments, a dict of keyword arguments, or a pair ``(tuple, dict)`` of both.
    A backend of another kind enqueues one after the other.
    """
    backend = task.get_backend()
    if isinstance(backend, OnDramatiq):
        return backend.enqueue_many(task, arguments)
    calls = (read_call(call) for call in arguments)
    return [task.enqueue(*args, **kwargs) for args, kwargs in calls]


def _enqueued(row: TaskRecord, task: Any) -> Any:
    result = result_of(row, task)
    announce_enqueued(result)
    return result


@cache
def _backport_twin() -> type[Any]:
    """Return the same backend over the backport's base class. A subclass's own methods do not come along."""
    bases = (OnDramatiq, framework(BACKPORT).backends.BaseTaskBackend)
    names = {"package": BACKPORT, "task_class": scale_task(BACKPORT)}
    return type("DramatiqBackend", bases, names)
