"""Hand over: for a moment nobody writes, the last changes are carried over, and the map says where rows are now.

All of it is one transaction on the source: killed before its commit, nothing has happened.
"""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import InternalError, connections
from django.db.backends.utils import truncate_name

from scalekit.db.exceptions import SplitRefused
from scalekit.db.sharding.mapping.assigning import init_map, set_live
from scalekit.db.sharding.splitting.capturing import LONGEST_NAME, pending
from scalekit.db.sharding.splitting.locking import with_locks

if TYPE_CHECKING:
    from scalekit.db.sharding.splitting.copying import Mover

SHARED, FOR_TABLE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("handover", "handover_table")
)
SEQUENCE = "SELECT pg_get_serial_sequence(%s, %s)"
FEW = 1_000  # changes that may be left when writers begin to wait
ROUNDS = 20
SILENCE = 10  # seconds for which a shard may hold all writers up: then the source lets go of its locks by itself
SILENT = "25P03"  # PostgreSQL's idle_in_transaction_session_timeout
SUFFIX = "_unsharded"


def near(mover: Mover) -> bool:
    """Catch up until few changes are left; return whether that came about."""
    connection = connections[mover.source]
    for _ in range(ROUNDS):
        if pending(mover.group, connection) <= FEW:
            return True
        mover.catch_up()
    return pending(mover.group, connection) <= FEW


def switch(mover: Mover, patience: float) -> float:
    """Let the shards have the rows from now on; return how long writers waited at most, in seconds.

    Raises `OperationalError` if `patience` seconds were not enough to get the tables, and `SplitRefused` if a shard
    did not answer meanwhile; then nothing has changed.
    """
    quote = connections[mover.source].ops.quote_name
    names = ", ".join(quote(table.name) for table in mover.tables)
    version = init_map(mover.group).version

    def hand_over(cursor: Any) -> None:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {SILENCE * 1000:d}")
        cursor.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        mover.carry(cursor, None, 0)
        _count_on(mover)
        functions = {name: quote(function) for name, function in _functions(mover.group).items()}
        cursor.execute(SHARED.format(**functions))
        for table in mover.tables:
            tables = {"table": quote(table.name), "before": quote(before(table.name))}
            cursor.execute(FOR_TABLE.format(**tables, **functions))
        set_live(mover.group, version)

    try:
        return with_locks(mover.source, hand_over, patience)
    except InternalError as error:
        if getattr(error.__cause__, "sqlstate", None) != SILENT:
            raise
        raise SplitRefused(
            f"A shard has not answered for {SILENCE} s, for which writers waited; nothing was switched. Look at it, "
            "and run this again."
        ) from error


def finish(mover: Mover) -> None:
    """Drop the tables as they were before. Their rows are gone for good."""
    quote = connections[mover.source].ops.quote_name

    def drop(cursor: Any) -> None:
        for table in reversed(mover.tables):
            cursor.execute(f"DROP VIEW IF EXISTS {quote(table.name)}")
        for table in reversed(mover.tables):
            cursor.execute(f"DROP TABLE IF EXISTS {quote(before(table.name))}")
        for function in _functions(mover.group).values():
            cursor.execute(f"DROP FUNCTION IF EXISTS {quote(function)}()")

    with_locks(mover.source, drop)


def before(name: str) -> str:
    """Return the name of a table after its rows have moved."""
    return truncate_name(name, LONGEST_NAME - len(SUFFIX)) + SUFFIX


def _functions(group: str) -> dict[str, str]:
    names = {"moved": f"scalekit_db_moved_{group}", "moved_row": f"scalekit_db_moved_row_{group}"}
    return {key: truncate_name(name, LONGEST_NAME) for key, name in names.items()}


def _count_on(mover: Mover) -> None:
    """Let columns that count by themselves go on above the ids that were copied."""
    for alias in mover.scheme.shards:
        connection: Any = connections[alias]
        quote = connection.ops.quote_name
        with connection.cursor() as cursor:
            for table in mover.tables:
                cursor.execute(SEQUENCE, [quote(table.name), table.pk])
                sequence = cursor.fetchone()[0]
                if sequence is not None:
                    highest = f"SELECT max({quote(table.pk)}) FROM {quote(table.name)}"
                    cursor.execute(f"SELECT setval(%s, ({highest}))", [sequence])
