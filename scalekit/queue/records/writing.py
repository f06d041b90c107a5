"""Write the steps of several jobs in one transaction: who may begin, and how attempts ended.

The rows are locked in the order of their ids, so that two groups cannot wait for each other. What a statement
writes was decided under that lock, by the clock of the database.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from scalekit.queue.conf import settings
from scalekit.queue.leases import lease
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.records.steps import Claim, Claimed, Ended, Ending, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

Step = Claim | Ending
Answer = Claimed | Ended

_ALIKE_UP_TO = 200  # characters; to compare more costs more than a statement does


def write(database: str, steps: Sequence[Step]) -> list[Answer]:
    """Write all of `steps`, or none, and return the answer to each."""
    with transaction.atomic(using=database, savepoint=False):
        rows = _locked(database, [step.id for step in steps])
        answers = [_decide(step, rows.get(step.id)) for step in steps]
        _write_claims(database, answers)
        _write_endings(database, steps, answers)
    return answers


def _locked(database: str, ids: Sequence[Any]) -> dict[Any, TaskRecord]:
    found = TaskRecord.objects.using(database).filter(pk__in=ids).order_by("pk")
    return {row.pk: row for row in found.select_for_update().annotate(now=Now())}


def _decide(step: Step, row: TaskRecord | None) -> Answer:
    if isinstance(step, Claim):
        return Claimed("gone") if row is None else _claimed(step, row, _now(row))
    if row is not None and _is_claim_lost(step, row):
        return Ended("written", {**_claim_of(step), **step.fields_at(_now(row))}, _now(row))
    if row is None or row.attempt != step.record.attempt:
        return Ended("late")
    if row.status != Status.RUNNING:
        again = row.status == step.fields["status"]
        return Ended("repeated" if again else "late", step.fields_at(_now(row)), _now(row))
    if row.cancel_asked and not step.is_final:
        return Ended("cancelled")
    return Ended("written", step.fields_at(_now(row)), _now(row))


def _is_claim_lost(ending: Ending, row: TaskRecord) -> bool:
    """Tell whether the database has lost the claim in a crash, as it may (begin.sql): `attempt` never falls else."""
    return row.status == Status.READY and row.attempt == ending.record.attempt - 1


def _claim_of(ending: Ending) -> dict[str, Any]:
    names = ("attempt", "worker_ids", "started_at", "last_attempted_at")
    return {name: getattr(ending.record, name) for name in names}


def _now(row: TaskRecord) -> datetime:
    found: datetime = row.now  # type: ignore[attr-defined]  # annotated above
    return found


def _claimed(claim: Claim, row: TaskRecord, now: datetime) -> Claimed:
    """Decide, and change the row in memory at once: a second message of the job may be in the same group."""
    answer = Claimed(verdict_on(row, now, settings.MAX_DELIVERIES), row)
    if not answer.is_ours:
        return answer
    if row.status == Status.RUNNING:
        row.deaths += 1
    row.status, row.publish_at, row.leased_until = Status.RUNNING, None, now + lease()
    row.attempt, row.publications = row.attempt + 1, row.publications + 1
    row.started_at, row.last_attempted_at = row.started_at or now, now
    if answer.may_run:
        row.worker_ids = [*row.worker_ids, claim.worker]
    return answer


def _write_claims(database: str, answers: Iterable[Answer]) -> None:
    """Write what was claimed: in one statement for all whose rows change alike, as those of new jobs do."""
    alike: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for answer in answers:
        if isinstance(answer, Claimed) and answer.is_ours and answer.record:
            row = answer.record
            alike[row.attempt, row.deaths, *row.worker_ids].append(row.pk)
    for (attempt, deaths, *workers), ids in alike.items():
        _rows(database, ids).update(
            status=Status.RUNNING,
            attempt=attempt,
            deaths=deaths,
            publications=F("publications") + 1,
            publish_at=None,
            leased_until=Now() + lease(),
            started_at=Coalesce("started_at", Now()),
            last_attempted_at=Now(),
            worker_ids=workers,
        )


def _write_endings(database: str, steps: Iterable[Step], answers: Iterable[Answer]) -> None:
    """Write how attempts ended: in one statement for all that ended alike, as those without a value do."""
    alike: dict[Any, tuple[dict[str, Any], list[Any]]] = {}
    for step, answer in zip(steps, answers, strict=True):
        if isinstance(answer, Ended) and answer.verdict == "written":
            alike.setdefault(_likeness(step, answer), (answer.fields, []))[1].append(step.id)
    for fields, ids in alike.values():
        _rows(database, ids).update(
            **{"publish_at": None, "leased_until": None, **fields},
            publications=F("publications") + 1,
        )


def _likeness(step: Step, ended: Ended) -> Any:
    """Return what endings that may be written together have in common."""
    shown = repr(sorted(ended.fields.items()))
    return shown if len(shown) <= _ALIKE_UP_TO else step.id


def _rows(database: str, ids: Sequence[Any]) -> QuerySet[TaskRecord]:
    return TaskRecord.objects.using(database).filter(pk__in=ids)
