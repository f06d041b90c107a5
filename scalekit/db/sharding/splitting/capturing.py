"""Keep what writers change while their rows are copied: triggers on the tables that are still in use."""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.sharding.splitting.tables import Table

SHARED, FOR_TABLE = (
    Path(__file__).with_name(f"{name}.sql").read_text() for name in ("capture", "capture_table")
)
CHANGES = "scalekit_db_shardchange"
CAPTURE, NO_TRUNCATE = "scalekit_db_capture", "scalekit_db_no_truncate"
LONGEST_NAME = 63  # of PostgreSQL's identifiers


def start_capturing(tables: Sequence[Table], connection: Any) -> None:
    """Set up the triggers, all or none; a transaction that is open on a table is waited for."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(SHARED)
        for table in tables:
            cursor.execute(_for_table(table, connection.ops.quote_name))


def stop_capturing(tables: Sequence[Table], connection: Any) -> None:
    """Take away the triggers and what they have kept."""
    quote = connection.ops.quote_name
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for table in tables:
            if table.name in connection.introspection.table_names(cursor):
                for trigger in (CAPTURE, NO_TRUNCATE):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {trigger} ON {quote(table.name)}")
            cursor.execute(f"DROP FUNCTION IF EXISTS {quote(_function(table))}() CASCADE")
        cursor.execute(f"DROP FUNCTION IF EXISTS {NO_TRUNCATE}() CASCADE")
        cursor.execute(f"DROP TABLE IF EXISTS {CHANGES}")


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
