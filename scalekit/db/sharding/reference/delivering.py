"""Bring to each shard the rows it has yet to be given, as they are by then on `default`.

What is brought is a state and not a change, so bringing twice does no harm. Whoever brings holds the shard's
`ReferenceLock` first and reads afterwards: so an older state never overwrites a newer one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, connections, models, transaction
from django.db.models.functions import Now

from scalekit.core.breaker import Breaker
from scalekit.db.conf import settings
from scalekit.db.events import REFERENCE_QUEUED
from scalekit.db.sharding.reference.fanout import shards
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BATCH = 500  # changes, and rows, that are taken at once
PATIENCE = "5s"  # for another process that is bringing; it takes along what is noted by then
COPYING = "SET LOCAL scalekit.reference_copy = 'on'"  # asked by the trigger of refuse_writes.sql


@cache
def breaker_of(alias: str) -> Breaker:  # noqa: ARG001 - each has one
    """Return what keeps a shard that does not answer from holding up every write."""
    return Breaker(lambda: settings.RETRY_SECONDS)


def deliver() -> None:
    """Bring every shard what it lacks; a shard that cannot be reached gets it with a later write, or by repair.

    Where this thread has a transaction open on a shard, after that: it could be rolled back, and the rows with it.
    """
    for alias in shards():
        if is_open(connections[alias]):
            if connections[alias].in_atomic_block:
                transaction.on_commit(deliver, using=alias, robust=True)
            return
    for alias in shards():
        breaker = breaker_of(alias)
        if not breaker.allows():
            continue
        try:
            bring(alias)
        except Error as error:
            breaker.failed()
            REFERENCE_QUEUED.emit(alias=alias, error=str(error).strip())
        else:
            breaker.succeeded()


def bring(alias: str) -> int:
    """Bring one shard what it lacks; return how many changes that were. Raises Django's errors."""
    from scalekit.db.sharding.reference.ledger import ReferenceChange

    waiting = ReferenceChange.objects.using(DEFAULT_DB_ALIAS).filter(shard=alias).order_by("pk")
    brought = 0
    while waiting.exists():
        done: list[int] = []
        # All in one transaction, for a row may by now refer to one that was noted long after it.
        with transaction.atomic(using=alias):
            _hold(alias)
            while changes := list(waiting.filter(pk__gt=done[-1] if done else 0)[:BATCH]):
                for label, keys in _merged(changes).items():
                    _bring_table(alias, label, keys)
                done += [change.pk for change in changes]
        for at in range(0, len(done), BATCH):
            waiting.filter(pk__in=done[at : at + BATCH]).delete()
        brought += len(done)
    return brought


def bring_rows(alias: str, model: type[models.Model], keys: Sequence[Any] | None) -> None:
    """Make rows of a shard what they are on `default`: those with `keys`, or all."""
    rows = _rows(model, DEFAULT_DB_ALIAS, keys)
    fields: list[Any] = [
        f
        for f in model._meta.local_concrete_fields  # noqa: SLF001 - _meta is Django's documented API
        if not getattr(f, "generated", False)
    ]
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute(COPYING)
        copies: Any = _rows(model, alias, keys)
        copies._raw_delete(alias)  # noqa: SLF001 - delete() would cascade, and tell signals of rows that live on
        for part in _batches(rows, connections[alias].ops.bulk_batch_size(fields, range(BATCH))):
            # Not bulk_create(), which would give fields with auto_now another value here.
            copies._insert(part, fields=fields, using=alias, raw=True)  # noqa: SLF001 - see above


def _bring_table(alias: str, label: str, keys: list[Any] | None) -> None:
    try:
        model = apps.get_model(label)
    except LookupError:
        return  # gone since
    try:
        with transaction.atomic(using=alias):
            bring_rows(alias, model, keys)
    except IntegrityError:  # two rows have swapped a unique value, and one of them is still to come
        bring_rows(alias, model, None)


def _hold(alias: str) -> None:
    from scalekit.db.sharding.reference.ledger import ReferenceLock

    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    lock = ReferenceLock.objects.using(alias).filter(pk=1)
    if not lock.update(taken_at=Now()):
        ReferenceLock.objects.using(alias).bulk_create([ReferenceLock(pk=1)], ignore_conflicts=True)
        lock.update(taken_at=Now())


def _merged(changes: Iterable[Any]) -> dict[str, list[Any] | None]:
    """Return the keys by table; None for a whole one."""
    merged: dict[str, list[Any] | None] = {}
    for change in changes:
        known = merged.get(change.table, [])
        keys: list[Any] | None = change.keys
        merged[change.table] = None if known is None or keys is None else [*known, *keys]
    return merged


def _rows(model: type[models.Model], alias: str, keys: Sequence[Any] | None) -> Any:
    rows: Any = models.QuerySet(model, using=alias)
    return rows.all() if keys is None else rows.filter(pk__in=list(keys))


def _batches(rows: Any, size: int) -> Iterable[list[Any]]:
    part: list[Any] = []
    for row in rows.iterator(BATCH):
        part.append(row)
        if len(part) >= size:
            yield part
            part = []
    if part:
        yield part
