"""Times handed out one after the other (GCRA), kept in one row and moved by one UPDATE.

The row holds when the next one would be due if all kept to the pace. The generic cell rate algorithm is that
of ITU-T I.371; it needs no window and no counter.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F
from django.db.models.functions import Greatest, Now

from scalekit.queue.conf import settings
from scalekit.queue.models import Limit

if TYPE_CHECKING:
    from django.db.models import QuerySet

NO_TIME = timedelta(0)


def next_time(
    name: str,
    spacing: timedelta,
    *,
    tolerance: timedelta = NO_TIME,
    not_before: timedelta = NO_TIME,
    within: timedelta | None = None,
    behind: Exists | None = None,
) -> timedelta | None:
    """Take the next time in the line `name`, and return how far away it is: at least `not_before`.

    None, and nothing is taken, where it is further away than `within`, or the condition `behind` holds: that
    there are others to come before.
    """
    rows = _rows().filter(name=name)
    with transaction.atomic(using=rows.db):
        takers = rows if behind is None else rows.exclude(behind)
        if within is not None:
            takers = takers.filter(theoretical_arrival__lte=Now() + tolerance + within)
        taken = Greatest(F("theoretical_arrival"), Now() + not_before) + spacing
        done = takers.update(theoretical_arrival=taken)
        if not done and _make(name, rows):
            done = takers.update(theoretical_arrival=taken)
        if not done:
            return None
        after, now = rows.values_list("theoretical_arrival", Now()).get()
    wait: timedelta = after - spacing - tolerance - now
    return max(wait, NO_TIME)


def time_until(name: str) -> timedelta:
    """Return how far away the next time in the line `name` is; nothing is taken."""
    found = _rows().filter(name=name).values_list("theoretical_arrival", Now()).first()
    return max(found[0] - found[1], NO_TIME) if found else NO_TIME


def has_waiting(name: str) -> Exists:
    """Return the condition that a time handed out in the line `name` has not come yet."""
    return Exists(_rows().filter(name=name, theoretical_arrival__gt=Now()))


def _rows() -> QuerySet[Limit]:
    return Limit.objects.using(settings.DATABASES[0])


def _make(name: str, rows: QuerySet[Limit]) -> bool:
    """Make the line if there is none yet; whoever comes at the same time waits and finds it."""
    if rows.exists():
        return False
    _rows().bulk_create([Limit(name=name, theoretical_arrival=Now())], ignore_conflicts=True)
    return True
