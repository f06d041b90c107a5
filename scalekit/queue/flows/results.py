"""What has become of a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async

from scalekit.queue.conf import settings
from scalekit.queue.exceptions import GroupFailed, GroupPending, GroupUnknown
from scalekit.queue.models import Status, TaskGroup, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class GroupResult:
    """A group or pipeline as it was when this was made, or last refreshed.

    `pending` members have not ended; `failed` ones are in the dead letters, or have been discarded from them.
    A pipeline is one member.
    """

    id: str
    size: int
    pending: int
    failed: int
    database: str

    @property
    def is_finished(self) -> bool:
        """Whether every member has ended, well or not."""
        return self.pending == 0

    def refresh(self) -> None:
        """Read it again. Raises `GroupUnknown` when it has been forgotten."""
        now = _find(UUID(self.id), [self.database])
        self.pending, self.failed = now.pending, now.failed

    def cancel(self, *, running: bool = False) -> int:
        """Cancel every job of it that waits to be run, or to be tried again; return how many were cancelled.

        Those that run go on to their end, with all that follows them in a pipeline. With ``running=True`` they are
        asked to stop, as `scalekit.queue.cancel` does. A member that is cancelled has failed: when all have ended,
        `on_failure` and `on_finish` are called as ever.
        """
        from scalekit.queue.cancelling import cancel_found

        wanted = [Status.READY, Status.RUNNING] if running else [Status.READY]
        groups = tree_of([UUID(self.id)], self.database)
        jobs = TaskRecord.objects.using(self.database).filter(group__in=groups, status__in=wanted)
        cancelled = [
            cancel_found(job, self.database, running=running) for job in jobs.order_by("pk")
        ]
        self.refresh()
        return sum(cancelled)

    async def acancel(self, *, running: bool = False) -> int:
        """Do what `cancel` does, from async code."""
        return await sync_to_async(self.cancel, thread_sensitive=True)(running=running)

    def results(self) -> list[Any]:
        """Return where each member stands, in order: a TaskResult, or a GroupResult for a group in the group.

        A pipeline is shown as the step that it has come to. Results that have been forgotten are missing.
        """
        from scalekit.queue.results import result_of

        return [
            result_of(member) if isinstance(member, TaskRecord) else _shown(member, self.database)
            for member in _members(UUID(self.id), self.database)
        ]

    def values(self) -> list[Any]:
        """Return what the members returned, in order.

        Raises `GroupPending` until all have ended, `GroupFailed` if one failed, and `GroupUnknown` when results
        have been forgotten.
        """
        self.refresh()
        if self.pending:
            raise GroupPending(f"{self.pending} of {self.size} members have not ended.")
        if self.failed:
            raise GroupFailed(f"{self.failed} of {self.size} members failed; see results().")
        values = values_of(UUID(self.id), self.database)
        if len(values) < self.size:
            raise GroupUnknown(
                f"Of {self.size} results {len(values)} are left; others are forgotten."
            )
        return values


def get_group(id: str | UUID) -> GroupResult:  # noqa: A002 - as get_result's
    """Return the group with this id. Raises `GroupUnknown`."""
    try:
        return _find(UUID(str(id)), settings.DATABASES)
    except ValueError as error:
        raise GroupUnknown(f"{id!r} is no id of a group.") from error


def values_of(group: UUID, using: str) -> list[Any]:
    """Return what the members of `group` returned, in order; all of them have."""
    return [
        member.return_value if isinstance(member, TaskRecord) else _value_of(member, using)
        for member in _members(group, using)
    ]


def tree_of(groups: list[UUID], using: str) -> list[UUID]:
    """Return `groups` and the groups that are members of them, and of those, and so on."""
    found, level = list(groups), list(groups)
    while level:
        inner = TaskGroup.objects.using(using).filter(group__in=level)
        level = list(inner.values_list("pk", flat=True))
        found += level
    return found


def _value_of(group: TaskGroup, using: str) -> list[Any]:
    return values_of(group.pk, using)


def _members(group: UUID, using: str) -> list[TaskRecord | TaskGroup]:
    return sorted(_unsorted(group, using), key=lambda member: member.pk)


def _unsorted(group: UUID, using: str) -> Iterator[TaskRecord | TaskGroup]:
    yield from TaskRecord.objects.using(using).filter(group=group)
    yield from TaskGroup.objects.using(using).filter(group=group)


def _find(id: UUID, databases: list[str]) -> GroupResult:  # noqa: A002 - as in the table
    for alias in databases:
        if found := TaskGroup.objects.using(alias).filter(pk=id).first():
            return _shown(found, alias)
    raise GroupUnknown(f"There is no group {id}: it was rolled back, or has been forgotten.")


def _shown(group: TaskGroup, database: str) -> GroupResult:
    return GroupResult(str(group.pk), group.size, group.pending, group.failed, database)
