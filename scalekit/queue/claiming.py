"""Rows of the outbox: taken by one publisher at a time, settled when the broker has confirmed them.

`publish_at` is the lease and `publications` the fence: whoever takes a row, to publish or to run it, counts
the latter up, and who holds an older count changes nothing. All times are by the database's clock.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.records import fail
from scalekit.queue.records.states import final_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

logger = logging.getLogger("scalekit.queue")

LEASE = timedelta(seconds=30)
BATCH = 500
WINDOW = 5000  # due rows, the longest due first, among which the priority decides

CLAIM, SETTLE, REMOVE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("claim", "settle", "remove")
)

COLUMNS = (
    *("id", "kind", "path", "queue_name", "priority", "backend", "args", "kwargs", "options"),
    *("kept", "publish_at", "publications", "enqueued_at", "run_after"),
)

# What is RUNNING is due once its worker is lost: whoever gets the message takes it over.
UNFINISHED = (Status.READY, Status.RUNNING)


def due_rows(database: str) -> QuerySet[TaskRecord]:
    """Return the query for what should be published now."""
    return TaskRecord.objects.using(database).filter(status__in=UNFINISHED, publish_at__lte=Now())


def claim_due(database: str, limit: int = BATCH) -> list[TaskRecord]:
    """Take up to `limit` due rows for this publisher; the most urgent first, then the longest due."""
    if _is_alone(database):
        return _claim_in_one_statement(database, limit)
    due = due_rows(database)
    if connections[database].features.allow_sliced_subqueries_with_in:
        # Sorting all that is due by priority, for each batch, would take longer than publishing it.
        due = due.filter(pk__in=due.order_by("publish_at").values("pk")[:WINDOW])
    return _claim(database, due.order_by("-priority", "publish_at")[:limit])


def _claim_in_one_statement(database: str, limit: int) -> list[TaskRecord]:
    numbers = {"window": WINDOW, "limit": limit, "lease": LEASE.total_seconds()}
    rows = list(TaskRecord.objects.using(database).raw(CLAIM, numbers))
    return sorted(rows, key=lambda row: (-row.priority, row.publish_at))


def claim_unpublished(database: str, ids: Iterable[UUID]) -> list[TaskRecord]:
    """Take those of the rows `ids` that nobody has taken yet."""
    rows = TaskRecord.objects.using(database).filter(pk__in=list(ids))
    return _claim(database, rows.filter(status=Status.READY, publications=0))


def _claim(database: str, wanted: QuerySet[TaskRecord]) -> list[TaskRecord]:
    skips = connections[database].features.has_select_for_update_skip_locked
    with transaction.atomic(using=database):
        found = wanted.select_for_update(skip_locked=skips).annotate(now=Now()).only(*COLUMNS)
        rows: list[TaskRecord] = list(found)
        if rows:
            taken = TaskRecord.objects.using(database).filter(pk__in=[row.pk for row in rows])
            taken.update(publish_at=Now() + LEASE, publications=F("publications") + 1)
    for row in rows:
        row.publications += 1
    return rows


def confirm(database: str, rows: Iterable[TaskRecord]) -> None:
    """Settle rows that the broker has confirmed.

    One that is kept is due again after a while, doubled each time, until a worker claims it: the broker may
    lose what it has confirmed.
    """
    groups: dict[tuple[int, bool, float], list[UUID]] = defaultdict(list)
    for row in rows:
        groups[row.publications, row.kept, _parking(row)].append(row.pk)
    for (token, kept, seconds), ids in groups.items():
        if _is_alone(database):
            _settle_lazily(database, ids, token, seconds if kept else None)
        elif kept:
            _held(database, ids, token).update(publish_at=Now() + timedelta(seconds=seconds))
        else:
            _held(database, ids, token).delete()


def _is_alone(database: str) -> bool:
    """Tell whether a statement here is a transaction of its own, on PostgreSQL: nothing else commits with it."""
    connection = connections[database]
    return connection.vendor == "postgresql" and connection.get_autocommit()


def _settle_lazily(database: str, ids: Sequence[UUID], token: int, seconds: float | None) -> None:
    values: dict[str, Any] = {"ids": list(ids), "token": token, "seconds": seconds}
    with connections[database].cursor() as cursor:
        cursor.execute(REMOVE if seconds is None else SETTLE, values)


def give_back(database: str, rows: Sequence[TaskRecord], delay: float) -> None:
    """Let rows that did not leave be due again in `delay` seconds."""
    tokens: dict[int, list[UUID]] = defaultdict(list)
    for row in rows:
        tokens[row.publications].append(row.pk)
    for token, ids in tokens.items():
        _held(database, ids, token).update(publish_at=Now() + timedelta(seconds=delay))


def bury(database: str, row: TaskRecord, error: Exception) -> None:
    """Make a row that can never be published FAILED, with its error; what waits for its end learns of it.

    Where that stumbles over the row too, the row alone says so.
    """
    shown = {
        "exception_class_path": f"{type(error).__module__}.{type(error).__qualname__}",
        "traceback": f"The job could not be published: {error}",
    }
    try:
        message = shown["traceback"]
        fail(row.pk, database, exception_class_path=shown["exception_class_path"], message=message)
    except DatabaseError:
        raise
    except (
        Exception
    ):  # what follows it, or its receivers: the row itself must not stay due for ever
        logger.exception("Job %s cannot be ended as others are", row.pk)
        ended = {**final_fields(Status.FAILED), "publish_at": None, "errors": [shown]}
        _held(database, [row.pk], row.publications).update(**ended)


def _held(database: str, ids: Sequence[UUID], token: int) -> QuerySet[TaskRecord]:
    """Return the query for those rows that nobody has taken since."""
    rows = TaskRecord.objects.using(database).filter(pk__in=ids)
    return rows.filter(status__in=UNFINISHED, publications=token)


def _parking(row: Any) -> float:
    """Return the seconds until `row` is published again, should nobody claim it."""
    base, now = float(settings.UNCLAIMED_SECONDS), getattr(row, "now", None)
    return base if now is None else parking_seconds(_age(row, now), base)


def _age(row: TaskRecord, now: datetime) -> float:
    """Return for how many seconds `row` could have run already."""
    return (now - (row.run_after or row.enqueued_at)).total_seconds()


def parking_seconds(age: float, base: float) -> float:
    """Return `base`, doubled until it is no less than `age`: the older, the more rarely published again."""
    seconds = base
    while seconds < age:
        seconds *= 2
    return seconds
