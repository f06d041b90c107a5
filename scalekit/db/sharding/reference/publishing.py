"""What `default` publishes for the shards."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import Any

from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.fanout import reference_models
from scalekit.db.sharding.reference.source import PUBLICATION
from scalekit.db.sharding.reference.statements import execute, rows


def publish(*, dry_run: bool = False) -> str:
    """Let the publication name every reference table; return what that took."""
    tables = [model._meta.db_table for model in reference_models()]
    with own_connection() as default:
        if published(default) == set(tables):
            return ""
        names = ", ".join(default.ops.quote_name(table) for table in tables)
        is_new = not rows(default, "SELECT FROM pg_publication WHERE pubname = %s", [PUBLICATION])
        verb, what = ("CREATE", "FOR TABLE") if is_new else ("ALTER", "SET TABLE")
        statement = f"{verb} PUBLICATION {PUBLICATION} {what} {names}"
        if not dry_run:
            execute(default, statement)
        return statement


def published(default: Any) -> set[str]:
    """Return the tables that `default` publishes to shards."""
    sql = "SELECT tablename FROM pg_publication_tables WHERE pubname = %s"
    return {row[0] for row in rows(default, sql, [PUBLICATION])}


def unpublish() -> None:
    with own_connection() as default:
        execute(default, f"DROP PUBLICATION IF EXISTS {PUBLICATION}")
