"""Keep what writers change while their rows are copied: triggers on the tables that are still in use."""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.backends.utils import truncate_name

from scalekit.db.sharding.splitting.locking import with_locks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.sharding.splitting.tables import Table

CHANGES, FOR_TABLE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("capture", "capture_table")
)
LONGEST_NAME = 63  # of PostgreSQL's identifiers


def start_capturing(group: str, tables: Sequence[Table], connection: Any) -> None:
    """Set up the triggers, a table at a time; a transaction that is open on one is waited for."""
    quote = connection.ops.quote_name
    _run(connection, CHANGES.format(changes=quote(changes_of(group))))
    for table in tables:
        _run(connection, _for_table(group, table, quote))


def stop_capturing(group: str, tables: Sequence[Table], connection: Any) -> None:
    """Take away the triggers and what they have kept."""
    quote = connection.ops.quote_name
    for table in tables:  # a trigger goes with its function
        _run(connection, f"DROP FUNCTION IF EXISTS {quote(_function(table))}() CASCADE")
    _run(connection, f"DROP TABLE IF EXISTS {quote(changes_of(group))}")


def is_capturing(group: str, connection: Any) -> bool:
    with connection.cursor() as cursor:
        return changes_of(group) in connection.introspection.table_names(cursor)


def pending(group: str, connection: Any) -> int:
    """Return how many changes are yet to be carried over."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(changes_of(group))}")
        return int(cursor.fetchone()[0])


def take_changes(group: str, cursor: Any) -> dict[str, set[str]]:
    """Take all changes that this transaction sees; return the ids of the rows, as texts, by table."""
    changes = cursor.db.ops.quote_name(changes_of(group))
    cursor.execute(f"DELETE FROM {changes} RETURNING table_name, row_id")
    found: dict[str, set[str]] = {}
    for table, row_id in cursor.fetchall():
        found.setdefault(table, set()).add(row_id)
    return found


def changes_of(group: str) -> str:
    """Return the name of the table that keeps the changes of a group: none is ever taken by another."""
    return truncate_name(f"scalekit_db_shardchange_{group}", LONGEST_NAME)


def _run(connection: Any, sql: str) -> None:
    with_locks(connection.alias, lambda cursor: cursor.execute(sql))


def _for_table(group: str, table: Table, quote: Any) -> str:
    return FOR_TABLE.format(
        function=quote(_function(table)),
        changes=quote(changes_of(group)),
        literal="'" + table.name.replace("'", "''") + "'",
        table=quote(table.name),
        pk=quote(table.pk),
    )


def _function(table: Table) -> str:
    return truncate_name(f"scalekit_db_capture_{table.name}", LONGEST_NAME)
