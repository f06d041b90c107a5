"""What the commands of the queue share: where jobs are stored, spans of time, text that is safe to show."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core.management.base import CommandError
from django.db import OperationalError, connections
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from scalekit.queue.conf import settings
from scalekit.queue.models import TaskRecord

if TYPE_CHECKING:
    from argparse import ArgumentParser

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SPAN = re.compile(r"(\d{1,6})([smhdw])")


def require_tables() -> None:
    """Raise `CommandError` where a database that answers has no tables for jobs; leave no connection open."""
    for alias in settings.DATABASES:
        tables: list[str] | None = None
        with suppress(OperationalError), connections[alias].temporary_connection() as cursor:
            tables = connections[alias].introspection.table_names(cursor)
        if tables is not None and TaskRecord._meta.db_table not in tables:  # noqa: SLF001 - the public name of its table
            raise CommandError(
                f"The database {alias!r} has no tables for jobs. "
                f"Run: manage.py migrate scalekit_queue --database={alias}"
            )


def plain(text: object) -> str:
    """Return `text` without what could steer a terminal: who enqueues a job chooses what is in it."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )


def add_database(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        choices=list(settings.DATABASES),
        help="only in this database (default: all of SCALEKIT_QUEUE_DATABASES)",
    )


def moment(text: str) -> datetime:
    """Read a time: how long ago (``90s 30m 2h 7d 1w``), or ISO 8601, of the current time zone if it has none."""
    if span := SPAN.fullmatch(text):
        return timezone.now() - timedelta(seconds=int(span[1]) * UNITS[span[2]])
    try:
        when = parse_datetime(text)
    except ValueError:
        when = None
    if when is None:
        raise ArgumentTypeError(
            f"{text!r} is no time. Write how long ago, as 30m, 2h or 7d, or 2026-01-31T18:00."
        )
    return timezone.make_aware(when) if timezone.is_naive(when) else when


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago `when` was, in the largest unit that fits."""
    if when is None:
        return "-"
    return span_of(((now or timezone.now()) - when).total_seconds())


def span_of(seconds: float) -> str:
    """Say how long `seconds` are, in the largest unit that fits."""
    unit = next((u for u in reversed(UNITS) if seconds >= 2 * UNITS[u]), "s")
    return f"{seconds / UNITS[unit]:.0f}{unit}"
