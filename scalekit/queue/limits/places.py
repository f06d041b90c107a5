"""Places: a job with a concurrency limit holds one of so many rows while it runs.

A place is free when its time is over. Who holds one moves its time into the future, again and again; a process
that is killed does not, and so frees the place within one lease.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models.functions import Now

from scalekit.queue.background import Background
from scalekit.queue.conf import settings
from scalekit.queue.leases import lease
from scalekit.queue.models import LimitHolder

if TYPE_CHECKING:
    from django.db.models import Exists, QuerySet


@dataclass(frozen=True, slots=True)
class Place:
    """One that this process holds."""

    row: int
    holder: str
    since: float  # time.monotonic()


_held: dict[str, Place] = {}


def take_place(name: str, count: int, job_id: str, *, behind: Exists | None) -> Place | None:
    """Take one of the `count` places of `name`; None if all are held, or the condition `behind` holds."""
    holder = f"{job_id[:40]}:{secrets.token_hex(4)}"  # not the id alone: a second run of the job is another
    row = _take(name, count, holder, behind)
    if row is None and _make_missing(name, count):
        row = _take(name, count, holder, behind)
    if row is None:
        return None
    place = _held[holder] = Place(row, holder, time.monotonic())
    keeper.wake()
    return place


def leave_place(place: Place) -> float:
    """Free `place`, and return for how many seconds it was held."""
    _held.pop(place.holder, None)
    _rows().filter(pk=place.row, holder=place.holder).update(until=Now(), holder="")
    return time.monotonic() - place.since


def _take(name: str, count: int, holder: str, behind: Exists | None) -> int | None:
    free = _rows().filter(name=name, place__lt=count, until__lte=Now())
    if behind is not None:
        free = free.exclude(behind)
    skip_locked = connections[free.db].features.has_select_for_update_skip_locked
    with transaction.atomic(using=free.db):
        locked = free.select_for_update(skip_locked=skip_locked).order_by("place")
        row = locked.values_list("pk", flat=True).first()
        if row is not None and free.filter(pk=row).update(holder=holder, until=Now() + lease()):
            return row
    return None


def _make_missing(name: str, count: int) -> bool:
    """Make the rows of places that there are not yet; tell whether any was missing.

    Those of a limit that was higher once go: as free ones they would have jobs called that cannot have them.
    """
    there = set(_rows().filter(name=name).values_list("place", flat=True))
    if max(there, default=0) >= count:
        _rows().filter(name=name, place__gte=count, until__lte=Now()).delete()
    missing = [number for number in range(count) if number not in there]
    _rows().bulk_create(
        [LimitHolder(name=name, place=number, holder="", until=Now()) for number in missing],
        ignore_conflicts=True,
    )
    return bool(missing)


def _keep() -> bool:
    """Move the time of all places that this process holds; tell whether there are any."""
    held = list(_held.values())
    rows = _rows().filter(pk__in=[p.row for p in held], holder__in=[p.holder for p in held])
    if held:
        rows.update(until=Now() + lease())
    return bool(held)


def _rows() -> QuerySet[LimitHolder]:
    return LimitHolder.objects.using(settings.DATABASES[0])


keeper = Background("scalekit-places", lambda: settings.LEASE_SECONDS / 3, _keep)
