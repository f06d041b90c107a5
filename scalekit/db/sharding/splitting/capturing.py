"""Keep what writers change while their rows are copied: triggers on the tables that are still in use."""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.splitting.locking import with_locks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.sharding.splitting.tables import Table

SHARED, FOR_TABLE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("capture", "capture_table")
)
CHANGES = "scalekit_db_shardchange"
NO_TRUNCATE = "scalekit_db_no_truncate"
LONGEST_NAME = 63  # of PostgreSQL's identifiers


def start_capturing(tables: Sequence[Table], connection: Any) -> None:
    """Set up the triggers, a table at a time; a transaction that is open on one is waited for."""
    quote = connection.ops.quote_name
    with_locks(connection.alias, lambda cursor: cursor.execute(SHARED))
    for table in tables:
        sql = _for_table(table, quote)
        with_locks(connection.alias, lambda cursor, sql=sql: cursor.execute(sql))  # type: ignore[misc]  # its default is a text


def stop_capturing(tables: Sequence[Table], connection: Any) -> None:
    """Take away the triggers and what they have kept."""
    quote = connection.ops.quote_name
    for table in tables:  # a trigger goes with its function
        sql = f"DROP FUNCTION IF EXISTS {quote(_function(table))}() CASCADE"
        with_locks(connection.alias, lambda cursor, sql=sql: cursor.execute(sql))  # type: ignore[misc]  # as above
    with_locks(
        connection.alias,
        lambda cursor: cursor.execute(
            f"DROP FUNCTION IF EXISTS {NO_TRUNCATE}() CASCADE; DROP TABLE IF EXISTS {CHANGES}"
        ),
    )


def is_capturing(connection: Any) -> bool:
    with connection.cursor() as cursor:
        return CHANGES in connection.introspection.table_names(cursor)


def pending(connection: Any) -> int:
    """Return how many changes are yet to be carried over."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {CHANGES}")
        return int(cursor.fetchone()[0])


def take_changes(cursor: Any) -> dict[str, set[str]]:
    """Take all changes that this transaction sees; return the ids of the rows, as texts, by table."""
    cursor.execute(f"DELETE FROM {CHANGES} RETURNING table_name, row_id")
    found: dict[str, set[str]] = {}
    for table, row_id in cursor.fetchall():
        found.setdefault(table, set()).add(row_id)
    return found


def _for_table(table: Table, quote: Any) -> str:
    return FOR_TABLE.format(
        function=quote(_function(table)),
        literal="'" + table.name.replace("'", "''") + "'",
        table=quote(table.name),
        pk=quote(table.pk),
    ).replace("%", "%%")


def _function(table: Table) -> str:
    return f"scalekit_db_capture_{table.name}"[:LONGEST_NAME]
