"""Enqueue the jobs of a flow that may begin: in as few statements as there can be."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.queue.exceptions import MessageRefused, QueueError, TaskUnknown
from scalekit.queue.loading import load_task
from scalekit.queue.models import Status
from scalekit.queue.outbox import put
from scalekit.queue.records.states import final_fields, shown
from scalekit.queue.results import announce_enqueued, result_of
from scalekit.queue.sharding import for_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from scalekit.queue.models import TaskRecord

# What is wrong with a job, and not with the database.
CANNOT = (TypeError, ValueError, QueueError)


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that are stored together; one that runs for a shard of its own is stored alone."""

    rows: list[TaskRecord]
    is_sharded: bool = False

    def send(self, using: str) -> None:
        """Store the jobs, and announce them as `enqueue` does. Raises one of `CANNOT`."""
        with self._shard():
            put(self.rows, using=using)
        for row in self.rows:
            with suppress(TaskUnknown, MessageRefused):  # only a newer release knows the task
                announce_enqueued(result_of(row))

    def bury(self, error: Exception, using: str) -> None:
        """Store the jobs as dead letters, where an operator finds them with the `error`."""
        for row in self.rows:
            fields = {**final_fields(Status.FAILED), "errors": [shown(error)], "publish_at": None}
            for name, value in fields.items():
                setattr(row, name, value)
            row.save(using=using, force_insert=True)

    def _shard(self) -> AbstractContextManager[Any]:
        if not self.is_sharded:
            return nullcontext()
        [row] = self.rows
        return for_shard(load_task(row.path), row.args, row.kwargs)


def batches(begun: Iterable[tuple[TaskRecord, bool]]) -> Iterator[Batch]:
    """Give the jobs that have `begun`, each with whether its task has a `shard`."""
    begun = list(begun)
    if together := [row for row, is_sharded in begun if not is_sharded]:
        yield Batch(together)
    for row, is_sharded in begun:
        if is_sharded:
            yield Batch([row], is_sharded=True)
