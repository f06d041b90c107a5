"""Fire what is due: one row for the slot and one for the job, in one transaction.

Any number of schedulers may look at the same time, on any number of machines. The unique constraint on the
slot decides which of them enqueues; the clock of the database decides what is due. Nobody leads, so nobody
has to be waited for when it dies.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.cron.entries import Entry, read_entry
from scalekit.queue.duties import duty
from scalekit.queue.events import CRON_FAILED, CRON_FIRED
from scalekit.queue.exceptions import CronInvalid
from scalekit.queue.models import CronEntry, CronSlot

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = timedelta(days=7)  # of slots; the last one of an entry stays
UNSEEN = timedelta(days=7)  # after which a schedule that no release has any more is forgotten
SEEN_EVERY = timedelta(hours=1)
PAUSE_AFTER_FAILURE = 30.0  # seconds, so that a wrong entry does not fill the log

logger = logging.getLogger("scalekit.queue")
_paused: dict[str, float] = {}  # entry -> when it may be tried again, by the clock of this process


@duty("cron", every=1.0, exclusive=False, databases="first")
def fire_due(database: str) -> None:
    """Enqueue the job of every entry whose latest slot nobody has fired yet.

    An entry that cannot be used is logged and announced, and the others are fired.
    """
    if not settings.CRON:
        return
    usable = list(_usable())
    slots = list(_due(usable, database))
    fired = _fired(slots, database)
    for entry, due_at in slots:
        if (entry.name, due_at) not in fired:
            _attempt(entry, due_at, database)


@duty("cron_slots", every=3600.0, databases="first")
def forget_slots(database: str) -> None:
    """Forget slots that are over, but the last one of each entry, and schedules that no release has."""
    later = CronSlot.objects.filter(name=OuterRef("name"), due_at__gt=OuterRef("due_at"))
    over = max([KEPT, *(2 * entry.catch_up for entry in _usable())])
    CronSlot.objects.using(database).filter(Exists(later), due_at__lt=Now() - over).delete()
    CronEntry.objects.using(database).filter(seen_at__lt=Now() - UNSEEN).delete()


def fire(entry: Entry, due_at: datetime, database: str) -> str | None:
    """Enqueue the job of this slot and return its id; None where another scheduler has done so."""
    with transaction.atomic(using=database):
        slot = CronSlot(name=entry.name, due_at=due_at)
        try:
            with transaction.atomic(using=database):
                slot.save(using=database, force_insert=True)
        except IntegrityError:
            return None
        job = entry.enqueue()
        CronSlot.objects.using(database).filter(pk=slot.pk).update(job=UUID(job))
    return job


def _usable() -> Iterable[Entry]:
    for name, params in settings.CRON.items():
        try:
            yield read_entry(name, params)
        except CronInvalid as error:
            _failed(str(name), error)


def _due(usable: list[Entry], database: str) -> Iterable[tuple[Entry, datetime]]:
    known = _known_since(usable, database)
    for entry in usable:
        since, now = known[entry.name]
        due_at = entry.slot(since=since, now=now)
        if due_at is not None:
            yield entry, due_at


def _known_since(usable: list[Entry], database: str) -> dict[str, tuple[datetime, datetime]]:
    """Return since when each schedule is known, and what time it is; write down those that are new."""
    rows = CronEntry.objects.using(database)
    found = _look_up(rows)
    new = [e for e in usable if (e.name, str(e.schedule)) not in found]
    if new:
        wanted = [CronEntry(name=e.name, schedule=str(e.schedule)) for e in new]
        rows.bulk_create(wanted, ignore_conflicts=True)
        found = _look_up(rows)
    mine = {entry.name: found[entry.name, str(entry.schedule)] for entry in usable}
    stale = [pk for pk, _, seen, now in mine.values() if seen < now - SEEN_EVERY]
    if stale:
        rows.filter(pk__in=stale).update(seen_at=Now())
    return {name: (since, now) for name, (_, since, _, now) in mine.items()}


def _look_up(rows: Any) -> dict[tuple[str, str], tuple[int, datetime, datetime, datetime]]:
    columns = ("name", "schedule", "pk", "since", "seen_at", "now")
    return {(r[0], r[1]): r[2:] for r in rows.annotate(now=Now()).values_list(*columns)}


def _fired(slots: list[tuple[Entry, datetime]], database: str) -> set[tuple[str, datetime]]:
    if not slots:
        return set()
    which = Q()
    for entry, due_at in slots:
        which |= Q(name=entry.name, due_at=due_at)
    return set(CronSlot.objects.using(database).filter(which).values_list("name", "due_at"))


def _attempt(entry: Entry, due_at: datetime, database: str) -> None:
    if time.monotonic() < _paused.get(entry.name, 0.0):
        return
    try:
        job = fire(entry, due_at, database)
    except (OperationalError, InterfaceError):  # no entry's fault
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one entry, the others are due
        _failed(entry.name, error)
        return
    _paused.pop(entry.name, None)
    if job is not None:
        CRON_FIRED.emit(entry=entry.name, task=entry.task, due_at=due_at.isoformat(), id=job)


def _failed(name: str, error: Exception) -> None:
    if time.monotonic() < _paused.get(name, 0.0):
        return
    _paused[name] = time.monotonic() + PAUSE_AFTER_FAILURE
    logger.error(
        "SCALEKIT_QUEUE_CRON[%r] could not be fired and will be tried again: %s",
        name,
        error,
        exc_info=error,
    )
    CRON_FAILED.emit(entry=name, why=str(error))
