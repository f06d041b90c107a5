"""What the entries have done and will do, for the people who look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from scalekit.queue.conf import settings
from scalekit.queue.models import CronSlot, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scalekit.queue.cron.entries import Entry


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry, its latest slot, and the status of that slot's job: empty if there is none any more."""

    entry: Entry
    now: datetime
    slot: CronSlot | None = None
    status: str = ""


def listed(entries: Sequence[Entry]) -> list[Listed]:
    """Return each of `entries` with what became of its latest slot."""
    now = timezone.now()
    slots = _latest([entry.name for entry in entries])
    jobs = TaskRecord.objects.using(settings.DATABASES[0]).filter(
        pk__in=[s.job for s in slots.values() if s.job]
    )
    statuses = dict(jobs.values_list("pk", "status"))
    found = []
    for entry in entries:
        slot = slots.get(entry.name)
        status = statuses.get(slot.job, "") if slot and slot.job else ""
        found.append(Listed(entry, now, slot, status))
    return found


def _latest(names: list[str]) -> dict[str, CronSlot]:
    place = Window(RowNumber(), partition_by="name", order_by=F("due_at").desc())
    slots = CronSlot.objects.using(settings.DATABASES[0]).filter(name__in=names)
    return {slot.name: slot for slot in slots.annotate(place=place).filter(place=1)}
