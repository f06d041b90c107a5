"""Wake the relay before its next poll, on PostgreSQL.

An enqueue does not do that: NOTIFY makes transactions commit one after the other, under a lock on the whole
cluster (PreCommit_Notify in PostgreSQL's async.c), and what is enqueued leaves by the fast path anyway. It
is for what knowingly skips that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from threading import Event

CHANNEL = "scalekit_queue"


def wake(database: str) -> None:
    """Let the relays of `database` look now; within a transaction, when that has committed."""
    if connections[database].vendor == "postgresql":
        with connections[database].cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def wait(database: str, seconds: float, stop: Event) -> None:
    """Return after `seconds`, or when somebody calls `wake`; where nobody can, when `stop` is set."""
    driver = _listening(database)
    if driver is None:
        stop.wait(seconds)
    elif not stop.is_set():
        with connections[database].wrap_database_errors:
            for _ in driver.notifies(timeout=seconds, stop_after=1):
                pass


def _listening(database: str) -> Any:
    """Return the driver's connection, listening; None where it cannot, as with psycopg2.

    Behind a pooler in transaction mode nothing is heard, and the poll is all there is.
    """
    connection = connections[database]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")  # each time: the server may be another since
    driver = connection.connection
    return driver if hasattr(driver, "notifies") and callable(driver.notifies) else None
