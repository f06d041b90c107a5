"""How each queue is doing: what waits in the broker and what the rows know, in a few cheap queries."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.db.models.functions import Now

from scalekit.core.exceptions import ScalekitError
from scalekit.queue.conf import settings
from scalekit.queue.lanes import lanes_of, queue_of
from scalekit.queue.models import PausedQueue, Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

OVERDUE = timedelta(seconds=10)  # a relay that lives has published by then


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue, over its lanes and all databases.

    `ready`, `delayed` and `in_flight` are messages in the broker, `waited` the seconds that the oldest of
    them has waited. `running`, `later` (retries and run_after in the future) and `overdue` (due, and published by nobody) are
    rows, `dead` are rows and messages that are about to become rows. What the broker counts is None where it
    does not answer.
    """

    queue: str
    ready: int | None = None
    delayed: int | None = None
    in_flight: int | None = None
    waited: float | None = None
    running: int = 0
    later: int = 0
    overdue: int = 0
    dead: int = 0
    paused_since: datetime | None = None
    paused_by: str = ""

    @property
    def as_json(self) -> dict[str, Any]:
        """The figures as a dict that JSON can hold."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        since = self.paused_since
        return {**values, "paused_since": since.isoformat() if since else None}


@dataclass(frozen=True, slots=True)
class Statistics:
    """All queues, by name; `trouble` says why the broker's figures are missing."""

    queues: tuple[QueueFigures, ...] = field(default=())
    trouble: str = ""


def queue_statistics() -> Statistics:
    """Count what waits, runs and failed in every queue that the settings or known actors name, or that has jobs."""
    figures = {name: QueueFigures(name) for name in _configured()}
    for alias in settings.DATABASES:
        for name, counts in _rows(alias):
            before = figures.setdefault(name, QueueFigures(name))
            more = {what: getattr(before, what) + n for what, n in counts.items()}
            figures[name] = replace(before, **more)
    for paused in PausedQueue.objects.using(settings.DATABASES[0]):
        before = figures.get(paused.queue_name, QueueFigures(paused.queue_name))
        figures[paused.queue_name] = replace(before, paused_since=paused.since, paused_by=paused.by)
    trouble = _add_what_the_broker_knows(figures)
    return Statistics(tuple(figures[name] for name in sorted(figures)), trouble)


def _configured() -> set[str]:
    from scalekit.queue.checks import our_backends

    named = [params.get("QUEUES") or ["default"] for params in our_backends().values()]
    return {str(queue) for queues in [*named, _of_actors()] for queue in queues}


def _of_actors() -> list[str]:
    """Return the queues of the actors that this process has imported; without Dramatiq there are none."""
    declared = sys.modules.get("scalekit.queue.actors")
    return [actor.queue_name for actor in declared.actors] if declared else []


def _rows(alias: str) -> Iterator[tuple[str, dict[str, int]]]:
    """Count by queue, with one query for each of the partial indexes: none reads a job that went well."""
    records = TaskRecord.objects.using(alias)
    outbox = records.filter(publish_at__isnull=False)
    conditions = {
        "overdue": outbox.filter(publish_at__lt=Now() - OVERDUE),
        "later": outbox.filter(status=Status.READY, run_after__gt=Now()),
        "running": records.filter(status=Status.RUNNING),
        "dead": records.filter(status=Status.FAILED),
    }
    for what, rows in conditions.items():
        counted = rows.order_by().values_list("queue_name").annotate(Count("pk"))
        yield from ((name, {what: number}) for name, number in counted)


def _add_what_the_broker_knows(figures: dict[str, QueueFigures]) -> str:
    lanes = [lane for name in figures for lane in lanes_of(name)]
    try:
        from scalekit.queue.brokers import default_broker

        stats = default_broker().stats(lanes)
    except (ScalekitError, ImportError) as error:
        return str(error) or type(error).__name__
    for lane, waiting in stats.items():
        name = queue_of(lane)
        before = figures[name]
        waits = [w for w in (before.waited, waiting.waited) if w is not None]
        figures[name] = replace(
            before,
            ready=(before.ready or 0) + waiting.ready,
            delayed=(before.delayed or 0) + waiting.delayed,
            in_flight=(before.in_flight or 0) + waiting.in_flight,
            dead=before.dead + waiting.dead,
            waited=max(waits, default=None),
        )
    return ""
