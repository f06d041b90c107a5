"""For how long rows have waited, by the clocks of their databases."""

from __future__ import annotations

from typing import Any

from django.db.models import DurationField, ExpressionWrapper, F, Max, Q
from django.db.models.functions import Coalesce, Now

from scalekit.queue.models import Status, TaskRecord


def oldest_due(alias: str) -> float | None:
    """Return for how many seconds the oldest row of the outbox of a database is due, None where none is."""
    return _oldest(alias, Q(publish_at__lt=Now()), F("publish_at"))


def oldest_ready(alias: str, queue: str) -> float | None:
    """Return for how many seconds the oldest job that is due and not begun has waited, None where none is."""
    due = Q(run_after__isnull=True) | Q(run_after__lte=Now())
    ready = Q(queue_name=queue, status=Status.READY, publish_at__isnull=False)  # of a partial index
    return _oldest(alias, ready & due, Coalesce(F("run_after"), F("enqueued_at")))


def _oldest(alias: str, which: Q, since: Any) -> float | None:
    age = ExpressionWrapper(Now() - since, output_field=DurationField())
    longest = TaskRecord.objects.using(alias).filter(which).aggregate(age=Max(age))["age"]
    return None if longest is None else float(longest.total_seconds())
