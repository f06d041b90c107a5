"""Read a group's stored map, by SQL: no model is asked, so that none has to be loaded or routed."""

from __future__ import annotations

import json
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from scalekit.db.sharding.mapping.slot_map import SlotMap

if TYPE_CHECKING:
    from collections.abc import Iterable

READ, READ_KEYS = (
    Path(__file__).with_name(f"{name}.sql").read_text("utf-8") for name in ("read", "read_keys")
)
TABLE = "scalekit_db_shardmap"

Runs = list[list[Any]]


def read_map(connection: Any, group: str, known: SlotMap | None, *, keys: bool) -> SlotMap | None:
    """Return the stored map of a group; `known` itself if it is still that, None if there is none.

    `keys` says whether the keys with shards of their own belong to the map. They are read after the version:
    a map may so be newer than it says, and is then read once more, but never older.
    """
    row = _row(connection, group)
    if row is None:
        return None
    version, assignments, boundaries, live = row
    if known is not None and known.version == version:
        return known
    return SlotMap(
        version,
        unrolled(_parsed(assignments)),
        _keys(connection, group) if keys else {},
        tuple(_parsed(boundaries)),
        live=bool(live),
    )


def rolled(assignments: Iterable[str]) -> Runs:
    """Return ``[[alias, how many in a row], ...]``."""
    return [[alias, sum(1 for _ in run)] for alias, run in groupby(assignments)]


def unrolled(runs: Runs) -> tuple[str, ...]:
    return tuple(chain.from_iterable(repeat(alias, length) for alias, length in runs))


def _row(connection: Any, group: str) -> Any:
    with connection.cursor() as cursor:
        try:
            cursor.execute(READ, [group])
        except DatabaseError:
            if _has_table(connection):
                raise
            return None  # before `migrate`, or without this app's tables
        return cursor.fetchone()


def _has_table(connection: Any) -> bool:
    return TABLE in connection.introspection.table_names()


def _keys(connection: Any, group: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(READ_KEYS, [group])
        return dict(cursor.fetchall())


def _parsed(value: Any) -> Any:
    """Return JSON as Python has it: drivers give text, or have parsed it already."""
    return json.loads(value) if isinstance(value, (str, bytes)) else value
