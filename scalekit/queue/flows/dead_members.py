"""What becomes of groups when an operator has their dead members run again, or discards them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from scalekit.queue.flows.advancing import Wave, facts_of, is_counted, mark
from scalekit.queue.models import TaskGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from scalekit.queue.models import TaskRecord


def requeued(records: Sequence[TaskRecord], *, using: str) -> None:
    """Let dead members that are to run again count as pending again, where their groups are not over yet.

    Where one is over, the member stays counted as failed until it succeeds; `advance` then makes the group
    a successful one if no other failed. Called in the requeue's transaction.
    """
    counted = [(r, r.group) for r in records if r.group is not None and is_counted(r)]
    _lock((group for _, group in counted), using)
    for record, group in counted:
        unfinished = TaskGroup.objects.using(using).filter(pk=group, pending__gt=0)
        if unfinished.update(pending=F("pending") + 1, failed=F("failed") - 1):
            mark(record, using, counted=False)


def discarded(records: Sequence[TaskRecord], *, using: str) -> None:
    """Count dead members that their groups still wait for, since nobody can run them again from now on.

    They are those with which the group could not end: nobody could read its callback, which is left out now.
    Called in the transaction that removes them.
    """
    awaited = [(r, r.group) for r in records if r.group is not None and not is_counted(r)]
    _lock((group for _, group in awaited), using)
    for record, _ in awaited:
        with facts_of(record):
            wave = Wave(using, leaves_out_unreadable=True)
            wave.give_up(record)
            wave.send_or_bury()


def _lock(groups: Iterable[UUID], using: str) -> None:
    """Lock `groups` in the order in which all do: inner ones first, whose ids are the larger ones.

    A worker that ends a group goes on to the one around it.
    """
    rows = TaskGroup.objects.using(using).filter(pk__in=set(groups)).order_by("-pk")
    list(rows.select_for_update().values_list("pk"))
