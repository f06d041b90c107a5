"""What becomes of a prepared transaction: decided by one row on `default`, then done on each shard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import Error

from scalekit.db.sharding.mapping.connecting import own_connection

if TYPE_CHECKING:
    from uuid import UUID

HERE = Path(__file__).parent
DECIDE = (HERE / "decide.sql").read_text()
ABORT = (HERE / "abort.sql").read_text()
OUTCOME = (HERE / "outcome.sql").read_text()
LOCK_TIMEOUT = "5s"  # for a coordinator that holds its decision, uncommitted

UNKNOWN_NAME = "42704"  # undefined_object: somebody else has ended it
BUSY = "55000"  # object_not_in_prerequisite_state: somebody else is about to


def settled(transaction: UUID, group: str) -> str:
    """Return what was decided of a transaction; if nothing was, it is rolled back, from now on for good.

    Raises Django's errors if `default` does not answer.
    """
    with own_connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute(ABORT, [transaction, group])
        cursor.execute(OUTCOME, [transaction])
        return str(cursor.fetchone()[0])


def end(connection: Any, gid: str, outcome: str) -> bool:
    """Commit or roll back a prepared transaction; return whether it was still to be done.

    The connection is in autocommit, since PostgreSQL allows neither in a transaction.
    """
    statement = f"{outcome.upper()} PREPARED {quoted(gid)}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except Error as error:
        if getattr(error.__cause__, "sqlstate", None) in {UNKNOWN_NAME, BUSY}:
            return False
        raise
    return True


def quoted(gid: str) -> str:
    """Return a literal, for statements that take no parameters."""
    from psycopg import sql

    return sql.Literal(gid).as_string(None)
