"""Hand over: for a moment nobody writes, the last changes are carried over, and the map says where rows are now.

All of it is one transaction on the source: killed before its commit, nothing has happened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from scalekit.db.sharding.mapping.assigning import go_live
from scalekit.db.sharding.splitting.capturing import pending

if TYPE_CHECKING:
    from scalekit.db.sharding.splitting.copying import Mover

SHARED, FOR_TABLE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("handover", "handover_table")
)
FEW = 1_000  # changes that may be left when writers begin to wait
ROUNDS = 20
SUFFIX = "_unsharded"
LONGEST_NAME = 63  # of PostgreSQL's identifiers


def near(mover: Mover) -> bool:
    """Catch up until few changes are left; return whether that came about."""
    connection = connections[mover.source]
    for _ in range(ROUNDS):
        if pending(connection) <= FEW:
            return True
        mover.catch_up()
    return pending(connection) <= FEW


def switch(mover: Mover, lock_timeout: float) -> None:
    """Let the shards have the rows from now on.

    Writers and readers wait meanwhile, as a rule for milliseconds. Raises `OperationalError` if an open
    transaction kept a table for longer than `lock_timeout` seconds; then nothing has changed.
    """
    connection = connections[mover.source]
    quote = connection.ops.quote_name
    names = ", ".join(quote(table.name) for table in mover.tables)
    with transaction.atomic(using=mover.source), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {round(lock_timeout * 1000):d}")
        cursor.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        mover.carry(cursor, None, 0)
        _count_on(mover)
        cursor.execute(SHARED)
        for table in mover.tables:
            cursor.execute(
                FOR_TABLE.format(table=quote(table.name), before=quote(before(table.name)))
            )
        go_live(mover.group)


def finish(mover: Mover) -> None:
    """Drop the tables as they were before. Their rows are gone for good."""
    connection = connections[mover.source]
    quote = connection.ops.quote_name
    with transaction.atomic(using=mover.source), connection.cursor() as cursor:
        for table in reversed(mover.tables):
            cursor.execute(f"DROP VIEW IF EXISTS {quote(table.name)}")
        for table in reversed(mover.tables):
            cursor.execute(f"DROP TABLE IF EXISTS {quote(before(table.name))}")
        cursor.execute("DROP FUNCTION IF EXISTS scalekit_db_moved(), scalekit_db_moved_row()")


def before(name: str) -> str:
    """Return the name of a table after its rows have moved."""
    return name[: LONGEST_NAME - len(SUFFIX)] + SUFFIX


def _count_on(mover: Mover) -> None:
    """Let columns that count by themselves go on above the ids that were copied."""
    for alias in mover.scheme.shards:
        connection: Any = connections[alias]
        quote = connection.ops.quote_name
        with connection.cursor() as cursor:
            for table in mover.tables:
                cursor.execute(
                    "SELECT setval(s, greatest((SELECT max(id) FROM rows), 1)) FROM "
                    f"(SELECT max({quote(table.pk)}) FROM {quote(table.name)}) AS rows (id), "
                    "pg_get_serial_sequence(%s, %s) AS s WHERE s IS NOT NULL",
                    [quote(table.name), table.pk],
                )
