"""A new job as a row: its arguments as JSON, its keywords as options of the message."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from scalekit.queue.exceptions import NotKeepable
from scalekit.queue.frameworks import framework_behind
from scalekit.queue.ids import new_id
from scalekit.queue.keywords import message_options, seconds
from scalekit.queue.models import TaskRecord
from scalekit.queue.storable import is_storable

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
    is no JSON, and `NotKeepable` for what no database keeps as JSON.
    """
    base = framework_behind(task).base
    row = TaskRecord(
        id=id or new_id(),
        path=task.module_path,
        queue_name=task.queue_name,
        priority=task.priority,
        backend=task.backend,
        args=base.normalize_json(list(args)),
        kwargs=base.normalize_json(dict(kwargs)),
        options={**message_options(task), **(options or {})},
        kept=getattr(task, "record", True),
        run_after=task.run_after,
    )
    if not is_storable([row.args, row.kwargs]):
        raise NotKeepable
    if (unique_for := getattr(task, "unique_for", None)) is not None:
        _make_unique(row, seconds(unique_for))
    return row


def unique_key(path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return by what jobs are recognised as the same one, whichever queue they are in: 64 hexadecimal digits."""
    call = json.dumps([path, args, kwargs], sort_keys=True, separators=(",", ":"))
    return sha256(call.encode()).hexdigest()


def _make_unique(row: TaskRecord, duration: float) -> None:
    row.unique_key = unique_key(row.path, row.args, row.kwargs)
    row.unique_until = Now() + timedelta(seconds=duration)
    # What an operator who runs the job again must know, when it has given its key away.
    row.options = {**row.options, "unique": {"key": row.unique_key, "for": duration}}
