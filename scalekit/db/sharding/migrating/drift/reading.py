"""Read what a database has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.migrating.drift.comparing import (
    COLUMN,
    CONSTRAINT,
    DEFAULT,
    INDEX,
    TABLE,
    Trait,
    Traits,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

HERE = Path(__file__).parent
COLUMNS = (HERE / "columns.sql").read_text()
OTHERS = {
    CONSTRAINT: (HERE / "constraints.sql").read_text(),
    INDEX: (HERE / "indexes.sql").read_text(),
}


def read(connection: Any, tables: Collection[str]) -> Traits:
    """Return what those of `tables` have that are there."""
    reading = _on_postgresql if connection.vendor == "postgresql" else _by_introspection
    with connection.cursor() as cursor:
        return frozenset(reading(connection, cursor, tables))


def _on_postgresql(_: Any, cursor: Any, tables: Collection[str]) -> Iterator[Trait]:
    cursor.execute(COLUMNS, [list(tables)])
    for table, column, definition, default in cursor.fetchall():
        yield Trait(table, TABLE, table, table)
        yield Trait(table, COLUMN, column, definition)
        if default is not None:
            yield Trait(table, DEFAULT, column, default)
    for kind, sql in OTHERS.items():
        cursor.execute(sql, [list(tables)])
        for table, definition in cursor.fetchall():
            yield Trait(table, kind, "", definition)


def _by_introspection(connection: Any, cursor: Any, tables: Collection[str]) -> Iterator[Trait]:
    """Read what Django knows of any database, which is less than PostgreSQL says."""
    there = set(connection.introspection.table_names(cursor))
    for table in sorted(there.intersection(tables)):
        yield Trait(table, TABLE, table, table)
        for column in connection.introspection.get_table_description(cursor, table):
            size = f"({column.internal_size})" if column.internal_size else ""
            null = "" if column.null_ok else " NOT NULL"
            yield Trait(table, COLUMN, column.name, f"{column.type_code}{size}{null}")
            if column.default is not None:
                yield Trait(table, DEFAULT, column.name, str(column.default))
        found = connection.introspection.get_constraints(cursor, table)
        for constraint in found.values():
            is_index = constraint["index"] and not constraint["unique"]
            yield Trait(table, INDEX if is_index else CONSTRAINT, "", _said(constraint))


def _said(constraint: dict[str, Any]) -> str:
    orders = constraint.get("orders") or []
    columns = [
        f"{column} DESC" if order == "DESC" else str(column)
        for column, order in zip(constraint["columns"] or [], [*orders, *[""] * 99], strict=False)
    ]
    kinds = [kind for kind in ("primary_key", "unique", "check", "index") if constraint[kind]]
    target = constraint["foreign_key"]
    kinds += [f"foreign key to {'.'.join(map(str, target))} of"] if target else []
    return f"{' '.join(kinds).replace('_', ' ')} ({', '.join(columns)})"
