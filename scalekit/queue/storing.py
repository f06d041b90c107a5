"""Jobs into the table: one INSERT, however many they are."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models.functions import Now

from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

INSERT, INSERT_ONE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("insert", "insert_one")
)
COLUMNS = (
    *("id", "kind", "path", "queue_name", "priority", "backend", "args", "kwargs", "options"),
    *("kept", "group", "publish_at", "run_after"),
)
OTHERS = ("unique_key", "unique_until", "expires_at")  # what the statement leaves out


def insert(rows: Sequence[TaskRecord], database: str, head_start: float) -> None:
    """Insert `rows`, READY; those without a `publish_at` are due `head_start` seconds from now."""
    connection = connections[database]
    if connection.vendor == "postgresql" and all(_is_plain(row) for row in rows):
        _insert_here(rows, connection, head_start)
    else:
        insert_by_columns(rows, database, head_start)


def insert_by_columns(
    rows: Sequence[TaskRecord], database: str, head_start: float, *, ignore_conflicts: bool = False
) -> None:
    """Do the same on any database, for any row."""
    for row in rows:
        if row.publish_at is None:
            row.publish_at = Now() + timedelta(seconds=head_start)
    if (
        len(rows) == 1 and not ignore_conflicts
    ):  # bulk_create begins a transaction, in two round trips
        rows[0].save(using=database, force_insert=True)
    else:
        TaskRecord.objects.using(database).bulk_create(rows, ignore_conflicts=ignore_conflicts)


def _is_plain(row: TaskRecord) -> bool:
    """Tell whether `row` has values alone, no expressions, and only such as a new job has."""
    if row.status != Status.READY or any(getattr(row, name) is not None for name in OTHERS):
        return False
    return not any(hasattr(t, "resolve_expression") for t in (row.publish_at, row.run_after))


def _insert_here(
    rows: Sequence[TaskRecord], connection: BaseDatabaseWrapper, head_start: float
) -> None:
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(INSERT_ONE, _values(rows[0], head_start))
        else:
            jobs = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
            cursor.execute(INSERT, [head_start, json.dumps(jobs, default=str)])
        [enqueued_at] = cursor.fetchone()
    for row in rows:
        _is_stored(row, connection.alias, enqueued_at, head_start)


def _values(row: TaskRecord, head_start: float) -> list[Any]:
    described = [row.pk, row.kind, row.path, row.queue_name, row.priority, row.backend]
    contents = [json.dumps(value) for value in (row.args, row.kwargs, row.options)]
    return [*described, *contents, row.kept, row.group, row.publish_at, head_start, row.run_after]


def _is_stored(row: Any, database: str, enqueued_at: Any, head_start: float) -> None:
    """Let the row in memory be what a saved one is."""
    row.enqueued_at = enqueued_at
    if row.publish_at is None:
        row.publish_at = enqueued_at + timedelta(seconds=head_start)
    row._state.adding, row._state.db = False, database  # noqa: SLF001 - Django keeps them there
