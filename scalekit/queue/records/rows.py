"""A new job as a row: its arguments as JSON, its keywords as options of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.queue.frameworks import framework_behind
from scalekit.queue.ids import new_id
from scalekit.queue.models import TaskRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID


def new_row(
    task: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    id: UUID | None = None,  # noqa: A002 - as in the table
    options: Mapping[str, Any] | None = None,
) -> TaskRecord:
    """Return the unsaved row of a job that calls `task` with these arguments.

    Its `options` are those of the message, in Dramatiq's names and milliseconds. Raises TypeError for what
    is no JSON and ValueError for what no database keeps as JSON (NaN, NUL characters, halves of surrogates).
    """
    base = framework_behind(task).base
    return TaskRecord(
        id=id or new_id(),
        path=task.module_path,
        queue_name=task.queue_name,
        priority=task.priority,
        backend=task.backend,
        args=base.normalize_json(args),
        kwargs=base.normalize_json(kwargs),
        options=dict(options or {}),
        run_after=task.run_after,
    )
