"""Duties that put right what went wrong, and clear away what is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from scalekit.queue.brokers import default_broker
from scalekit.queue.burials import record_burial
from scalekit.queue.duties import duty
from scalekit.queue.events import JOBS_LOST
from scalekit.queue.exceptions import BrokerUnreachable
from scalekit.queue.models import Status, TaskGroup, TaskRecord

if TYPE_CHECKING:
    from django.db.models import QuerySet

FORGOTTEN_AT_ONCE = 1000
IMPORTED_AT_ONCE = 100


@duty("sweep_lost", every=5.0, exclusive=False)
def sweep_lost(database: str) -> None:
    """Have jobs whose worker gives no sign of life published again; whoever claims one counts the death."""
    lost = TaskRecord.objects.using(database).filter(
        status=Status.RUNNING, leased_until__lt=Now(), publish_at__isnull=True
    )
    if number := lost.update(publish_at=Now(), publications=F("publications") + 1):
        JOBS_LOST.emit(database=database, jobs=number)


@duty("import_dead", every=5.0, databases="first")
def import_dead(database: str) -> bool:
    """Make rows of the broker's dead letters, so that all of them lie in one place.

    Each is forgotten by the broker once its row is stored. Its id decides which row that is, so nothing
    comes of it if two processes do this, or one does it twice.
    """
    try:
        imported = [_import_from(queue, database) for queue in _known_queues()]
    except BrokerUnreachable:
        return False  # others say so, and the dead letters stay where they are
    return IMPORTED_AT_ONCE in imported


def _known_queues() -> list[str]:
    return sorted(default_broker().get_declared_queues())


def _import_from(queue: str, database: str) -> int:
    broker = default_broker()
    dead = broker.dead_messages(queue, IMPORTED_AT_ONCE)
    for letter in dead:
        record_burial(letter, database)
    if dead:
        broker.forget_dead(queue, [letter.id for letter in dead])
    return len(dead)


@duty("forget_expired", every=60.0)
def forget_expired(database: str) -> bool:
    """Delete jobs whose time is over, but no member of a group that is not over."""
    ids = list(_expired(database).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if ids:
        _expired(database).filter(pk__in=ids).delete()  # asked again: one may run again since
    return len(ids) == FORGOTTEN_AT_ONCE


def _expired(database: str) -> QuerySet[TaskRecord]:
    """Return the query for what may go: no member of a group whose results may still be asked for.

    That is one which has not ended, or has dead members, which may be run again.
    """
    open_groups = TaskGroup.objects.using(database).filter(
        Q(finished_at__isnull=True) | Q(failed__gt=0), pk=OuterRef("group")
    )
    expired = TaskRecord.objects.using(database).filter(expires_at__lt=Now())
    return expired.exclude(Exists(open_groups))
