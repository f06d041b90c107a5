"""From a job that has ended to what comes next, within the transaction that ends it.

The group's row is locked from its UPDATE on: of two members that end at the same instant the second waits for
the first's commit, and then sees its count. So exactly one of them is the last.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import Error
from django.db.models import F
from django.db.models.functions import Now

from scalekit.core.context import arrived_with
from scalekit.queue.facts import JOB
from scalekit.queue.flows.plans import row_of
from scalekit.queue.flows.results import tree_of, values_of
from scalekit.queue.flows.sending import Batch, batches
from scalekit.queue.models import Status, TaskGroup, TaskRecord

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from scalekit.queue.flows.plans import Chain, Element

logger = logging.getLogger("scalekit.queue")


def advance(record: TaskRecord, *, using: str) -> None:
    """Do what the end of `record` asks for: the next step, the count of its group, callbacks.

    Called once for each final finish, in its transaction, after the UPDATE; `record` is as that left it.
    """
    if record.group is None:
        return
    with facts_of(record):
        wave = Wave(using)
        if record.status == Status.SUCCESSFUL:
            wave.go_on(record, record.return_value)
        else:
            wave.give_up(record)
        wave.send_or_bury()


class Wave:
    """What one transaction sets going in database `using`.

    A callback that nobody can read is raised for, or left out if the wave `leaves_out_unreadable` ones.
    """

    def __init__(self, using: str, *, leaves_out_unreadable: bool = False) -> None:
        self.using, self._leaves_out_unreadable = using, leaves_out_unreadable
        self._begun: list[tuple[TaskRecord, bool]] = []  # with whether its task has a shard

    def send(self) -> None:
        """Enqueue what has begun. Raises what enqueueing raises."""
        for batch in batches(self._begun):
            batch.send(self.using)

    def send_or_bury(self) -> None:
        """Enqueue what has begun; what cannot be enqueued has failed, and its predecessor has ended all the same."""
        while begun := self._begun:
            self._begun = []
            for batch in batches(begun):
                self._send_or_bury(batch)

    def _send_or_bury(self, batch: Batch) -> None:
        try:
            batch.send(self.using)
        except Error:  # the database's: nothing more can be written in this transaction
            raise
        except Exception as error:  # noqa: BLE001 - the dead letter says what it was
            batch.bury(error, self.using)
            for row in batch.rows:
                self.give_up(row)

    def begin(
        self, chain: Chain, group: UUID | None, given: tuple[Any, ...], counted: bool
    ) -> None:
        """Start the first element of `chain`, which carries the rest along."""
        first, *rest = chain
        flow = {"steps": rest, "counted": counted}
        if "job" not in first:
            self.begin_group(first, group=group, given=given, flow=flow)
            return
        row = row_of(first, given)
        row.group = group
        row.options["flow"] = flow
        self._begun.append((row, first["sharded"]))

    def begin_group(self, element: Element, *, given: tuple[Any, ...] = (), **columns: Any) -> None:
        members = element["members"]
        group = TaskGroup(
            id=UUID(element["id"]), size=len(members), pending=len(members), failed=0, **columns
        )
        group.save(using=self.using, force_insert=True)
        for chain in members:
            self.begin(chain, group.pk, given, counted=False)
        if not members:
            self._end_group(group, first_time=True)

    def go_on(self, member: TaskRecord | TaskGroup, value: Any) -> None:
        """Take the step after `member`, which has succeeded, or count it."""
        flow = _flow_of(member)
        if steps := flow.get("steps"):
            self._leave_group(member)
            self.begin(steps, member.group, (value,), counted=is_counted(member))
        elif member.group is not None and is_counted(member):
            self._count(member.group, failed=-1)
        elif member.group is not None:
            self._count(member.group, pending=-1)

    def give_up(self, member: TaskRecord | TaskGroup) -> None:
        """Count `member`, which has failed, unless it has been counted before."""
        if member.group is not None and not is_counted(member):
            mark(member, self.using, counted=True)
            self._count(member.group, pending=-1, failed=1)

    def _count(self, group: UUID, *, pending: int = 0, failed: int = 0) -> None:
        rows = TaskGroup.objects.using(self.using).filter(pk=group)
        counted = {"pending": F("pending") + pending, "failed": F("failed") + failed}
        if pending and rows.filter(pending__gt=1).update(**counted):
            return  # others are pending: one statement, since all members wait for this row
        if rows.update(**counted):
            self._look_at(rows.get(), first_time=pending != 0)

    def _look_at(self, group: TaskGroup, *, first_time: bool) -> None:
        if group.pending == 0 and (first_time or group.failed == 0):
            self._end_group(group, first_time=first_time)

    def _end_group(self, group: TaskGroup, *, first_time: bool) -> None:
        if group.group is None:
            self._close(group)
        if first_time:
            self._call("on_finish", group)
        if group.failed:
            self._call("on_failure", group)
            self.give_up(group)
        else:
            self._call("on_success", group)
            has_heirs = bool(_flow_of(group).get("steps"))
            self.go_on(group, values_of(group.pk, self.using) if has_heirs else None)

    def _close(self, group: TaskGroup) -> None:
        """Say that nobody will ask for the results of `group` any more, but who has its id.

        With those of the groups in it, unless a member is dead: they are wanted when it succeeds after all.
        """
        ids = [group.pk] if group.failed else tree_of([group.pk], self.using)
        TaskGroup.objects.using(self.using).filter(pk__in=ids).update(finished_at=Now())

    def _call(self, name: str, group: TaskGroup) -> None:
        callback = getattr(group, name)
        if callback is None:
            return
        try:
            self._begun.append((row_of(callback, (str(group.pk),)), callback["sharded"]))
        except Exception:
            if not self._leaves_out_unreadable:
                raise
            logger.exception("%s of group %s cannot be read, and is left out", name, group.pk)

    def _leave_group(self, member: TaskRecord | TaskGroup) -> None:
        """Let what follows stand for `member` in its group's results."""
        _rows_of(member, self.using).update(group=None)
        if isinstance(member, TaskGroup):
            self._close(member)


def _rows_of(member: TaskRecord | TaskGroup, using: str) -> QuerySet[Any]:
    rows = TaskRecord.objects if isinstance(member, TaskRecord) else TaskGroup.objects
    return rows.using(using).filter(pk=member.pk)


def _flow_of(member: TaskRecord | TaskGroup) -> dict[str, Any]:
    flow = member.options.get("flow") if isinstance(member, TaskRecord) else member.flow
    return flow or {}


def is_counted(member: TaskRecord | TaskGroup) -> bool:
    """Tell whether `member` is among those that its group has counted as failed."""
    return bool(_flow_of(member).get("counted"))


def mark(member: TaskRecord | TaskGroup, using: str, *, counted: bool) -> None:
    """Write down whether `member` is counted as failed; not into `member`, since this may yet be rolled back."""
    flow = {**_flow_of(member), "counted": counted}
    column = {"flow": flow}
    if isinstance(member, TaskRecord):
        column = {"options": {**member.options, "flow": flow}}
    _rows_of(member, using).update(**column)


def facts_of(record: TaskRecord) -> AbstractContextManager[None]:
    """Let what follows know what `record` knew, where somebody else than its own worker says that it has ended."""
    job = JOB.get()
    if job is not None and job.record is not None and job.record.pk == record.pk:
        return nullcontext()
    return arrived_with(record.options.get("scalekit") or {})
