"""Ask a Citus coordinator, and distribute a group's tables there."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction

from scalekit.db.sharding.citus.columns import column_of
from scalekit.db.sharding.citus.ddl import Constraint, statements
from scalekit.db.sharding.group_models import models_of
from scalekit.db.sharding.reference.fanout import reference_models

if TYPE_CHECKING:
    from scalekit.db.sharding.citus.scheme import Citus

CONSTRAINTS = Path(__file__).with_name("constraints.sql").read_text()
TABLES = """\
SELECT table_name::text, citus_table_type, distribution_column, colocation_id, shard_count, table_size
FROM citus_tables ORDER BY 1"""
WRITTEN = """\
SELECT name::regclass::text FROM unnest(%s::text[]) WITH ORDINALITY n(name, place) ORDER BY place"""
IS_THERE = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
ISOLATE = "SELECT isolate_tenant_to_new_shard(%s::regclass, %s::{kind}, 'CASCADE')"
PLACEMENT = "SELECT nodename, nodeport FROM citus_shards WHERE shardid = %s"
MOVE = "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s)"


def version(connection: Any) -> str | None:
    """Return the version of Citus in a database, None without the extension."""
    with connection.cursor() as cursor:
        cursor.execute(IS_THERE)
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def plan(group: str, scheme: Citus, connection: Any) -> list[str]:
    """Return the statements that are left to distribute a group's tables. Raises `KeyMissing`."""
    keys = {m._meta.db_table: column_of(m).column for m in models_of(group)}
    references = [m._meta.db_table for m in reference_models()]
    written = as_written(connection, [*keys, *references])
    return statements(
        keys={written[table]: key for table, key in keys.items()},
        references=[written[table] for table in references],
        constraints=constraints_of(connection, [*keys, *references]),
        shard_count=scheme.shard_count,
        quote=connection.ops.quote_name,
        distributed=frozenset(row[0] for row in tables(connection)),
    )


def as_written(connection: Any, names: list[str]) -> dict[str, str]:
    """Return tables by name as the catalog writes them: in quotes where there are capital letters."""
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN, [[connection.ops.quote_name(name) for name in names]])
        return dict(zip(names, (row[0] for row in cursor.fetchall()), strict=True))


def constraints_of(connection: Any, names: list[str]) -> list[Constraint]:
    quoted = [connection.ops.quote_name(name) for name in names]
    with connection.cursor() as cursor:
        cursor.execute(CONSTRAINTS, {"tables": quoted})
        return [
            Constraint(name, kind, table, tuple(columns), to_table, tuple(to_columns), definition)
            for name, kind, table, columns, to_table, to_columns, definition in cursor
        ]


def tables(connection: Any) -> list[tuple[Any, ...]]:
    """Return name, kind, key column, co-location, shards and size of each table that Citus knows."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return list(cursor.fetchall())


def distribute(todo: list[str], connection: Any) -> None:
    """Run a plan in one transaction: all of it, or nothing. Writers of these tables wait meanwhile."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in todo:
            cursor.execute(statement)


def isolate(group: str, key: str, connection: Any) -> int:
    """Give a key a shard of Citus of its own, in all tables of its group; return that shard's id."""
    model = models_of(group)[0]
    column = column_of(model)
    with connection.cursor() as cursor:
        sql = ISOLATE.format(kind=column.db_type(connection))
        cursor.execute(sql, [connection.ops.quote_name(model._meta.db_table), key])
        return int(cursor.fetchone()[0])


def move(shard: int, host: str, port: int, connection: Any) -> tuple[str, int]:
    """Move a shard, and all that is co-located with it, to another worker; return where it was."""
    with connection.cursor() as cursor:
        cursor.execute(PLACEMENT, [shard])
        source, source_port = cursor.fetchone()
        if (source, source_port) != (host, port):
            cursor.execute(MOVE, [shard, source, source_port, host, port])
    return source, source_port
