"""Effects that happen once, however often their job runs.

    with transaction.atomic():
        if once("charge"):
            account.charge(order)

The entry is written in the transaction of the effect, so either both are there or neither. What that means,
and what it does not: docs/explanation/exactly_once.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections
from django.db.models.constants import OnConflict

from scalekit.queue.commits import has_begun, open_transactions
from scalekit.queue.exceptions import NoTransaction
from scalekit.queue.facts import JOB_ID
from scalekit.queue.models import LONGEST_PATH, InboxEntry

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

REMEDY = "Write: with transaction.atomic(): if once(...): ..."


def once(name: str = "", *, key: str | None = None, using: str | None = None) -> bool:
    """Tell whether what follows in this transaction is to happen: True once, False ever after.

    An effect is known by the job's id and `name`, which tells several effects of one job apart; outside
    jobs, or for an effect that several jobs may ask for, by `key` (up to 255 characters). `using` is
    the database of the effect, by default the one that has a transaction open.

    Where another transaction has the same key and is still open, this waits for its end: after its commit
    the answer is False, after its rollback True. Raises `NoTransaction` outside a transaction, or where
    several databases have one and `using` does not say which.
    """
    connection = _connection(using)
    if key is None:
        key = _key_of_this_job(name)
    if not 0 < len(key) <= LONGEST_PATH:
        raise ValueError(f"The key of an effect has 1 to {LONGEST_PATH} characters: {key[:300]!r}.")
    with connection.cursor() as cursor:
        cursor.execute(_insert(connection), [key])
        return bool(cursor.rowcount)


def _connection(using: str | None) -> BaseDatabaseWrapper:
    if using is not None:
        if not has_begun(connections[using]):
            raise NoTransaction(f"No transaction is open on {using!r}. {REMEDY}")
        return connections[using]
    match open_transactions():
        case [connection]:
            return connection
        case []:
            raise NoTransaction(
                f"once() stands in no transaction, so it could not be undone with its effect. {REMEDY}"
            )
        case several:
            names = ", ".join(repr(connection.alias) for connection in several)
            raise NoTransaction(
                f"Transactions are open on {names}. Say which has the effect: once(..., using=...)."
            )


def _key_of_this_job(name: str) -> str:
    if not JOB_ID.get():
        raise ValueError(
            "Outside a job an effect needs a key of its own: once(key='order:7:charge')."
        )
    return f"{JOB_ID.get()}:{name}" if name else JOB_ID.get()


def _insert(connection: BaseDatabaseWrapper) -> str:
    """Return an INSERT that does nothing where the key is there: one statement, and no savepoint to fail in."""
    quote, ops = connection.ops.quote_name, connection.ops
    into = ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = ops.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
    table, column = quote(InboxEntry._meta.db_table), quote("key")  # noqa: SLF001 - Django documents it as stable
    return f"{into} {table} ({column}) VALUES (%s) {suffix}"
