"""Jobs that wait for a place, in the order in which they came.

Who leaves a place calls the one at the head of the line: it is published at once, and comes before those who
come for the first time. A duty calls where nobody could: a holder was killed, or left at the very moment in
which another was about to line up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.duties import duty
from scalekit.queue.listening import wake
from scalekit.queue.models import LimitHolder, LimitWaiter, Status, TaskRecord

if TYPE_CHECKING:
    from django.db.models import QuerySet

ANSWER = timedelta(seconds=5)  # after which one that was called and did not come is called again
NAMES = 100  # that the duty looks at in one go


def line_up(name: str, job: Any, database: str) -> None:
    """Let the job wait for a place of `name`: at the end of the line, or where it stands already."""
    if not _rows().filter(job=job).update(called_at=None):
        waiter = LimitWaiter(name=name, job=job, database=database)
        _rows().bulk_create([waiter], ignore_conflicts=True)


def step_out(job: Any) -> None:
    """Take the job out of the line, since it has a place."""
    _rows().filter(job=job).delete()


def anyone_waits(name: str) -> Exists:
    """Return the condition that somebody is in the line of `name`."""
    return Exists(_rows().filter(name=name))


def call_next(name: str) -> bool:
    """Have the first of the line that was not called yet published; False if there is none."""
    while (waiter := _first(name)) is not None:
        if _comes(waiter):
            return True
        waiter.delete()
    return False


def _first(name: str) -> LimitWaiter | None:
    rows = _rows().filter(Q(called_at=None) | Q(called_at__lt=Now() - ANSWER), name=name)
    skip_locked = connections[rows.db].features.has_select_for_update_skip_locked
    with transaction.atomic(using=rows.db):
        locked = rows.select_for_update(skip_locked=skip_locked).order_by("pk")
        waiter = locked.first()
        if waiter is not None:
            _rows().filter(pk=waiter.pk).update(called_at=Now())
    return waiter


def _comes(waiter: LimitWaiter) -> bool:
    """Let the relay publish the job now; False if it does not want to be run any more.

    One that is on its way already has `publish_at` moved by whoever publishes it.
    """
    rows = TaskRecord.objects.using(waiter.database).filter(pk=waiter.job)
    postponed = rows.filter(status=Status.READY, publish_at=F("run_after"))
    if postponed.update(publish_at=Now(), run_after=Now()):
        wake(waiter.database)
        return True
    return rows.filter(status__in=[Status.READY, Status.RUNNING]).exists()


@duty("call_waiting", every=1, databases="first")
def call_waiting(database: str) -> None:
    """Call as many as there are free places, in each line where somebody waits."""
    free = LimitHolder.objects.using(database).filter(name=OuterRef("name"), until__lte=Now())
    lines = LimitWaiter.objects.using(database).filter(Exists(free)).values("name")
    for line in lines.annotate(waiting=Count("pk"))[:NAMES]:
        held = LimitHolder.objects.using(database).filter(name=line["name"], until__lte=Now())
        for _ in range(held.count()):
            if not call_next(line["name"]):
                break


def _rows() -> QuerySet[LimitWaiter]:
    return LimitWaiter.objects.using(settings.DATABASES[0])
