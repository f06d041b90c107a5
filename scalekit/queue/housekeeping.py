"""Forget what has served its time: effects, groups, and the places and lines of limits that nobody uses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.duties import duty
from scalekit.queue.flows.results import tree_of
from scalekit.queue.models import InboxEntry, Limit, LimitHolder, LimitWaiter, TaskGroup

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

BATCH = (
    1000  # rows a statement: one that removes all would hold its locks, and the disk, for as long
)
HOUR = 3600
LONGEST_WAIT = timedelta(days=7)  # one that waits still after that lines up again when it is tried
UNUSED = timedelta(days=1)  # after which a limit for one value of an argument is taken to be over


@duty("forget_inbox", every=HOUR)
def forget_inbox(database: str) -> None:
    """Forget effects that are older than SCALEKIT_QUEUE_KEEP_INBOX_SECONDS."""
    if (past := _long_ago(settings.KEEP_INBOX_SECONDS)) is not None:
        _remove(InboxEntry.objects.using(database).filter(happened_at__lt=past))


@duty("forget_groups", every=HOUR)
def forget_groups(database: str) -> None:
    """Forget groups as long after their end as jobs: those with dead members may yet be made whole."""
    over = TaskGroup.objects.using(database).filter(group=None, finished_at__isnull=False)
    for has_failed, seconds in (
        (Q(failed=0), settings.KEEP_SUCCESSFUL_SECONDS),
        (Q(failed__gt=0), settings.KEEP_FAILED_SECONDS),
    ):
        if (past := _long_ago(seconds)) is not None:
            _remove_trees(over.filter(has_failed, finished_at__lt=past), database)


@duty("forget_limits", every=HOUR, databases="first")
def forget_limits(database: str) -> None:
    """Forget places and lines that nobody has used for a day; they are made again when they are needed."""
    past = Now() - UNUSED
    _remove(LimitHolder.objects.using(database).filter(until__lt=past))
    _remove(LimitWaiter.objects.using(database).filter(since__lt=Now() - LONGEST_WAIT))
    _remove(Limit.objects.using(database).filter(theoretical_arrival__lt=past))


def _long_ago(seconds: float | None) -> Any:
    return None if seconds is None else Now() - timedelta(seconds=seconds)


def _remove_trees(groups: QuerySet[TaskGroup], database: str) -> None:
    """Remove `groups` with the groups in them, some at a time."""
    while ids := list(groups.values_list("pk", flat=True)[:BATCH]):
        tree = TaskGroup.objects.using(database).filter(pk__in=tree_of(ids, database))
        with transaction.atomic(using=database):
            # In the order in which all lock them, inner ones first: a DELETE takes them in any.
            list(tree.order_by("-pk").select_for_update().values_list("pk"))
            tree.delete()


def _remove(rows: QuerySet[Any, Model]) -> None:
    """Remove `rows`, some at a time."""
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=ids).delete()
