"""Enqueue the jobs of a flow that may begin: in as few statements as there can be."""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.queue.exceptions import MessageRefused, TaskUnknown
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

logger = logging.getLogger("scalekit.queue")


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that are stored together; one that runs for a shard of its own is stored alone."""

    rows: list[TaskRecord]
    is_sharded: bool = False

    def send(self, using: str) -> None:
        """Store the jobs, and announce them as `enqueue` does. Raises what storing them raises."""
        with self._shard():
            put(self.rows, using=using)
        for row in self.rows:
            _announce(row)

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


def _announce(row: TaskRecord) -> None:
    try:
        with suppress(TaskUnknown, MessageRefused):  # only a newer release knows the task
            announce_enqueued(result_of(row))
    except Exception:  # it is stored, and must not be buried as well
        logger.exception("Job %s (%s) is enqueued, and could not be announced", row.pk, row.path)


def batches(begun: Iterable[tuple[TaskRecord, bool]]) -> Iterator[Batch]:
    """Give the jobs that have `begun`, each with whether its task has a `shard`."""
    begun = list(begun)
    if together := [row for row, is_sharded in begun if not is_sharded]:
        yield Batch(together)
    for row, is_sharded in begun:
        if is_sharded:
            yield Batch([row], is_sharded=True)
