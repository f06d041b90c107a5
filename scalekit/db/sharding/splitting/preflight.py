"""What stands in the way of splitting a group's tables; looked at before anything is changed."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connections, models
from django.db.models.constants import LOOKUP_SEP

from scalekit.db.sharding.splitting.models import SplitTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.db.sharding.splitting.copying import Mover
    from scalekit.db.sharding.splitting.tables import Table


COLUMNS = """\
SELECT table_name::text, column_name::text FROM information_schema.columns
WHERE table_schema = ANY (current_schemas(false))"""
STRANGERS = """\
SELECT conrelid::regclass::text, conname::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = ANY (%(tables)s::regclass[]) AND conrelid <> ALL (%(tables)s::regclass[])
ORDER BY 1, 2"""


def obstacles(mover: Mover) -> Iterator[str]:
    """Return what has to be mended first, a sentence each with what to do."""
    aliases = (mover.source, *mover.scheme.shards)
    other = [alias for alias in aliases if connections[alias].vendor != "postgresql"]
    if other:
        yield (
            f"{', '.join(other)}: tables are split live on PostgreSQL alone. Elsewhere stop the site, and copy "
            "with dumpdata and loaddata."
        )
        return
    if not mover.scheme.starts_on:
        yield began_on_shards(mover.group)
        return
    states = {s.table for s in SplitTable.objects.using(mover.source).filter(group=mover.group)}
    columns = {alias: _columns(alias) for alias in aliases}
    if any(table.name not in columns[mover.source] for table in mover.tables):
        yield f"Not all tables of {mover.group} are on {mover.source}. Run manage.py migrate."
        return
    for table in mover.tables:
        there = {alias: found[table.name] for alias, found in columns.items()}
        yield from _of_table(mover, table, there)
        if table.name not in states:
            yield from _of_copies(mover, table, there)
    yield from _of_references(mover)
    yield from _of_strangers(mover)


def began_on_shards(group: str) -> str:
    return (
        f"The group {group!r} has its rows on the shards. Had it none yet, you would add "
        '"starts_on": "default" to its OPTIONS and deploy that first.'
    )


def _of_table(mover: Mover, table: Table, columns: dict[str, set[str]]) -> Iterator[str]:
    if not table.key:
        yield f"{table.model.__name__} names no shard key. Set shard_key."
        return
    if '"' in table.name:
        yield f"{table.name}: tables with a schema in their name are not copied. Put it into search_path."
        return
    lacking = {alias: set(table.columns) - found for alias, found in columns.items()}
    for alias, missing in lacking.items():
        if missing:
            yield (
                f"{table.name} on {alias} has no {', '.join(sorted(missing))}. Run manage.py "
                + ("migrate." if alias == mover.source else "migrate_shards.")
            )
    lost = 0 if any(lacking.values()) else _keyless(mover.source, table)
    if lost:
        yield (
            f"{lost} rows of {table.name} have no shard key ({table.key}), or hang on none that is there. Fill it in: "
            f"manage.py shard_tables backfill {table.model._meta.label} FIELD --from PATH."
        )


def _keyless(alias: str, table: Table) -> int:
    """Count the rows whose key is NULL, and those that a join with the row that has the key leaves out."""
    rows, has_key = table.rows(alias).order_by(), {f"{table.key}__isnull": False}
    if LOOKUP_SEP not in table.key:
        return rows.exclude(**has_key).count()
    joined = rows.filter(**has_key, pk=models.OuterRef("pk"))
    return models.QuerySet(table.model, using=alias).filter(~models.Exists(joined)).count()


def _of_copies(mover: Mover, table: Table, columns: dict[str, set[str]]) -> Iterator[str]:
    """Nothing has been copied yet, so whatever is there was not put there by us, or by a run that was cancelled."""
    for alias in mover.scheme.shards:
        if columns[alias] and models.QuerySet(table.model, using=alias).exists():
            yield (
                f"{alias} has rows in {table.name} already. Look where they come from; manage.py shard_tables cancel "
                f"{mover.group} deletes them."
            )


def _of_references(mover: Mover) -> Iterator[str]:
    """Rows that refer to each other within a table, or in a circle, would not arrive in order."""
    order = [table.model for table in mover.tables]
    for table in mover.tables:
        for field in table.model._meta.concrete_fields:
            other: Any = field.related_model
            if other not in order or not field.db_constraint:  # type: ignore[attr-defined]  # a foreign key
                continue
            if order.index(other) >= order.index(table.model):
                yield (
                    f"{field} refers to rows that may come later. Give it db_constraint=False until the switch."
                )
            if not isinstance(field, models.ForeignKey) or _cascades(field):
                yield f"{field} deletes in the database (DB_CASCADE); copying deletes and inserts. Use CASCADE."


def _of_strangers(mover: Mover) -> Iterator[str]:
    """Foreign keys from tables that stay would go on to refer to the old tables, and refuse every new row."""
    quote = connections[mover.source].ops.quote_name
    names = [quote(table.name) for table in mover.tables]
    with connections[mover.source].cursor() as cursor:
        cursor.execute(STRANGERS, {"tables": names})
        for table, constraint, other in cursor.fetchall():
            yield (
                f"{constraint} of {table} refers to {other}, whose rows leave this database. Give that foreign key "
                "db_constraint=False, and migrate."
            )


def _cascades(field: Any) -> bool:
    return getattr(field.remote_field.on_delete, "__name__", "").startswith("DB_")


def _columns(alias: str) -> dict[str, set[str]]:
    """Return the names of the columns of each table."""
    found: dict[str, set[str]] = defaultdict(set)
    with connections[alias].cursor() as cursor:
        cursor.execute(COLUMNS)
        for table, column in cursor.fetchall():
            found[table].add(column)
    return found
