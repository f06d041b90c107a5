"""Dead letters: the jobs that have failed for good, found, run again or discarded, in batches.

    for found in find(Search(queue="mail", error="TimeoutError")):     # in each database
        for batch in requeue(found):
            print(batch.done, batch.refused)

A batch is a short transaction of its own: workers go on meanwhile, and what was done stays done. Rows that
somebody else has locked are left alone and counted as refused. Page: docs/howto/dead_letters.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.events import DEAD_DISCARDED, DEAD_REQUEUED
from scalekit.queue.listening import wake
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    # Acts on locked rows of a database, and says which it left alone, and why.
    Act = Callable[[list[TaskRecord], str], dict["UUID", str]]

BATCH = 200  # rows locked at a time

UNREADABLE = "it could not be read, so it cannot be run; discard it"
NOT_DEAD = "it is no dead letter any more, or somebody else has it just now"
KEY_TAKEN = "another job with its unique key is waiting or running"

Records = QuerySet[TaskRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which dead letters: those that answer to all of what is given.

    `task` is the whole path, or its beginning followed by ``*``. `error` is looked for in the exceptions'
    paths and tracebacks of every attempt. `since` (inclusive) and `until` (exclusive) bound when they failed.
    """

    ids: Sequence[UUID] = ()
    task: str = ""
    queue: str = ""
    error: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def among(self, records: Records) -> Records:
        """Return those of `records` that are dead letters and answer to this."""
        task = "path__startswith" if self.task.endswith("*") else "path"
        conditions = {
            "pk__in": self.ids,
            task: self.task.removesuffix("*"),
            "queue_name": self.queue,
            "errors__icontains": self.error,
            "finished_at__gte": self.since,
            "finished_at__lt": self.until,
        }
        given = {name: value for name, value in conditions.items() if value}
        return records.filter(status=Status.FAILED, **given).order_by("-finished_at", "-pk")


@dataclass(slots=True)
class Batch:
    """What became of some jobs: those that were done, as they were before, and why the others were not."""

    rows: list[TaskRecord] = field(default_factory=list)
    refused: dict[UUID, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many were done."""
        return len(self.rows)

    @property
    def size(self) -> int:
        """How many were looked at."""
        return len(self.rows) + len(self.refused)


def find(search: Search | None = None, *, using: str | None = None) -> Iterator[Records]:
    """Yield the dead letters of each database of the queue, or of the one, the newest first."""
    for alias in [using] if using else settings.DATABASES:
        yield (search or Search()).among(TaskRecord.objects.using(alias))


def requeue(found: Records, *, batch: int = BATCH) -> Iterator[Batch]:
    """Run dead letters again: each keeps its id and history and gets a new allowance of retries and deaths.

    They are published by the relay as soon as it sees them. Refused are unreadable ones, and those whose
    unique key another job has by now.
    """
    return _in_batches(found, _requeue, batch)


def discard(found: Records, *, batch: int = BATCH) -> Iterator[Batch]:
    """Remove dead letters for good, with their results and history."""
    return _in_batches(found, _discard, batch)


def reason_of(row: TaskRecord) -> str:
    """Return the last line of the last traceback, which says what was raised; empty if nothing was."""
    if not row.errors:
        return ""
    last = row.errors[-1]
    lines = str(last.get("traceback", "")).strip().splitlines()
    return lines[-1] if lines else str(last.get("exception_class_path", ""))


def _in_batches(found: Records, act: Act, size: int) -> Iterator[Batch]:
    """Act on what was found when this began, each once: what fails anew meanwhile is not taken again."""
    using = found.db
    ids = iter(list(found.values_list("pk", flat=True)))
    while chunk := list(islice(ids, size)):
        yield _one_batch(chunk, act, using)


def _one_batch(ids: list[UUID], act: Act, using: str) -> Batch:
    try:
        return _together(ids, act, using)
    except IntegrityError:  # a unique key was taken in this moment: find out by whom it is wanted
        result = Batch()
        for id_ in ids:
            try:
                alone = _together([id_], act, using)
            except IntegrityError:
                alone = Batch(refused={id_: KEY_TAKEN})
            result.rows += alone.rows
            result.refused |= alone.refused
        return result


def _together(ids: list[UUID], act: Act, using: str) -> Batch:
    with transaction.atomic(using=using):
        rows = list(_locked(ids, using))
        gone = set(ids) - {row.pk for row in rows}
        refused = act(rows, using)
    announce = DEAD_REQUEUED if act is _requeue else DEAD_DISCARDED
    done = [row for row in rows if row.pk not in refused]
    for row in done:
        announce.emit(task=row.path, queue=row.queue_name, id=str(row.pk))
    return Batch(done, {**refused, **dict.fromkeys(gone, NOT_DEAD)})


def _locked(ids: list[UUID], using: str) -> Records:
    rows = TaskRecord.objects.using(using).filter(pk__in=ids, status=Status.FAILED).order_by("pk")
    features = connections[using].features
    if features.has_select_for_update:
        rows = rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    return rows


def _discard(rows: list[TaskRecord], using: str) -> dict[UUID, str]:
    if members := [row for row in rows if row.group]:
        from scalekit.queue import flows  # as in _rejoin

        flows.discarded(members, using=using)
    TaskRecord.objects.using(using).filter(pk__in=[row.pk for row in rows]).delete()
    return {}


def _requeue(rows: list[TaskRecord], using: str) -> dict[UUID, str]:
    refused = {row.pk: UNREADABLE for row in rows if not row.path}
    readable = [row for row in rows if row.path]
    refused |= _take_unique_keys(readable, using)
    able = [row for row in readable if row.pk not in refused]
    _rejoin([row for row in able if row.group or row.options.get("flow")], using)
    TaskRecord.objects.using(using).filter(pk__in=[row.pk for row in able]).update(**_ready_again())
    wake(using)
    return refused


def _rejoin(rows: list[TaskRecord], using: str) -> None:
    """Let groups and pipelines know that they may yet succeed."""
    if rows:
        from scalekit.queue import flows  # needs Dramatiq, without which the admin must load

        flows.requeued(rows, using=using)


def _take_unique_keys(rows: list[TaskRecord], using: str) -> dict[UUID, str]:
    """Take back the keys that became free when the jobs failed; say whose are taken."""
    wanted = {row.pk: row.options["unique"] for row in rows if row.options.get("unique")}
    records = TaskRecord.objects.using(using)
    holders = records.filter(unique_key__in=[unique["key"] for unique in wanted.values()])
    holders.filter(unique_until__lt=Now()).update(unique_key=None)
    held = dict(holders.values_list("unique_key", "pk"))
    refused = {}
    # In one order for all: two operators must not wait for each other's keys.
    for pk, unique in sorted(wanted.items(), key=lambda each: each[1]["key"]):
        if held.setdefault(unique["key"], pk) != pk:
            refused[pk] = KEY_TAKEN
            continue
        until = Now() + timedelta(seconds=unique["for"])
        records.filter(pk=pk).update(unique_key=unique["key"], unique_until=until)
    return refused


def _ready_again() -> dict[str, Any]:
    return {
        "status": Status.READY,
        "publish_at": Now(),
        "run_after": None,
        # A relay that is about to confirm an older publication must not take this one for it.
        "publications": F("publications") + 1,
        "forgiven": F("attempt"),
        "deaths": 0,
        "cancel_asked": False,
        **dict.fromkeys(("finished_at", "expires_at", "leased_until"), None),
        **dict.fromkeys(("return_value", "progress"), None),
    }
