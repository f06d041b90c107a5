"""Keep two deploys from migrating the shards beside each other."""

from __future__ import annotations

from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, Error, connections

from scalekit.db.exceptions import ShardsBeingMigrated
from scalekit.db.sharding.mapping.connecting import own_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = 0x5CA1E217_5A4D5000  # of PostgreSQL's advisory locks, which are apart for each database
PAUSE = 0.5  # seconds between two attempts

# What may end a transaction that lasts as long as a deploy; transaction_timeout is of PostgreSQL 17 and later.
NO_LIMITS = (
    "SELECT set_config(name, '0', true) FROM pg_settings "
    "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)


@contextmanager
def only_one(*, patient: bool, waiting: Callable[[], None]) -> Iterator[Callable[[], str]]:
    """Hold a lock on `default`, and give a function that says why it is lost, or nothing.

    If another process holds it, call `waiting` and wait, or raise `ShardsBeingMigrated`. PostgreSQL alone has such
    locks; elsewhere there is none.

    The lock belongs to a transaction and not to a session, so it also holds through PgBouncer. The
    transaction has no snapshot, so it keeps nothing from being vacuumed.
    """
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        yield lambda: ""
        return
    with own_connection() as connection:
        connection.set_autocommit(False)
        _take(connection, patient=patient, waiting=waiting)
        yield lambda: _loss(connection)


def _take(connection: Any, *, patient: bool, waiting: Callable[[], None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NO_LIMITS)
        told = False
        while not _try(cursor):
            if not patient:
                raise ShardsBeingMigrated
            if not told:
                waiting()
                told = True
            sleep(PAUSE)


def _try(cursor: Any) -> bool:
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [KEY])
    return bool(cursor.fetchone()[0])


def _loss(connection: Any) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return f"the connection that holds the lock on {DEFAULT_DB_ALIAS} is gone ({str(error).strip()})"
    return ""
