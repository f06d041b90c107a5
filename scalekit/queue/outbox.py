"""The outbox: a job is a row in the caller's own transaction, and leaves when that has committed.

    put([row])            one INSERT, and after the commit one call of the broker
    put_unique(row)       the same, or the job that has its unique key already

Where nothing could be published after the commit (the process died, the broker did not answer), the relay
finds the row: `scalekit.queue.relay`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import connections, router
from django.db.models.functions import Now

from scalekit.queue.commits import is_by_hand, real_transactions, when_all_commit
from scalekit.queue.conf import settings
from scalekit.queue.events import JOB_STORED
from scalekit.queue.fast_path import HEAD_START, depart
from scalekit.queue.listening import wake
from scalekit.queue.models import TaskRecord
from scalekit.queue.publishing import FactsThen, message_of
from scalekit.queue.storing import insert, insert_by_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["database_for_enqueue", "message_of", "put", "put_unique"]


def database_for_enqueue() -> str:
    """Return the alias of the database that a job enqueued here and now lies in.

    Of SCALEKIT_QUEUE_DATABASES, the one that has a transaction open. If several have, or none: the one
    that the routers name for the table, if it is among them, else the first listed.
    """
    listed = settings.DATABASES
    if len(listed) == 1:
        return listed[0]
    begun = {connection.alias for connection in real_transactions()}
    among = [alias for alias in listed if alias in begun] or list(listed)
    preferred = router.db_for_write(TaskRecord)
    return preferred if preferred in among else among[0]


def put(rows: Sequence[TaskRecord], *, using: str | None = None) -> None:
    """Store `rows` in the transaction that is open, to be published when it has committed.

    With no transaction open they are stored and published at once. Raises TypeError for a portable fact
    that is no JSON.
    """
    if not rows:
        return
    facts, database = FactsThen(), using or database_for_enqueue()
    if others := _transactions_without_an_outbox(database):
        when_all_commit(others, partial(_store, rows, database, facts))
    else:
        _store(rows, database, facts)


def put_unique(row: TaskRecord) -> TaskRecord:
    """Store `row`, unless another job has its `unique_key`; return the one that has it.

    Where a transaction that is still open has stored one with the same key, this waits for its end.
    """
    facts, database = FactsThen(), database_for_enqueue()
    holders = TaskRecord.objects.using(database).filter(unique_key=row.unique_key)
    holders.filter(unique_until__lte=Now()).update(unique_key=None)
    leaving = _prepare([row], database, facts)
    holder = None
    while holder is None:  # again, if the one that was in the way has ended meanwhile
        insert_by_columns([row], database, HEAD_START if leaving else 0.0, ignore_conflicts=True)
        holder = holders.first()
    if holder.pk == row.pk:
        _let_go([row], leaving, database, facts)
        return row
    return holder


def _transactions_without_an_outbox(database: str) -> list[BaseDatabaseWrapper]:
    """Return what is open where no job can lie, if only that is: then the row itself has to wait."""
    begun = real_transactions()
    if any(connection.alias == database for connection in begun):
        return []
    return [connection for connection in begun if connection.in_atomic_block]


def _store(rows: Sequence[TaskRecord], database: str, facts: FactsThen) -> None:
    leaving = _prepare(rows, database, facts)
    insert(rows, database, HEAD_START if leaving else 0.0)
    _let_go(rows, leaving, database, facts)


def _prepare(rows: Sequence[TaskRecord], database: str, facts: FactsThen) -> list[TaskRecord]:
    """Fill in the facts, and when what is for later is due; return what takes the fast path."""
    for row in rows:
        row.options = {**row.options, "scalekit": facts.then}
        if row.publish_at is None:
            row.publish_at = (
                row.run_after
            )  # whether that has come is for the database's clock to say
    if is_by_hand(connections[database]):  # Django calls nobody when that commits
        return []
    return [row for row in rows if row.publish_at is None]


def _let_go(
    rows: Sequence[TaskRecord], leaving: Sequence[TaskRecord], database: str, facts: FactsThen
) -> None:
    for row in rows:
        JOB_STORED.emit(
            task=row.path, queue=row.queue_name, id=str(row.pk), record=row, database=database
        )
    if leaving:
        depart(connections[database], leaving, facts)
    elif is_by_hand(connections[database]):
        wake(database)
