from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections

from scalekit.db.sharding.migrating.drift.comparing import differences
from scalekit.db.sharding.migrating.drift.expecting import expected_on, models_of, tables_of
from scalekit.db.sharding.migrating.drift.reading import read
from scalekit.db.sharding.parallel import run_on_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scalekit.db.sharding.migrating.drift.comparing import Traits


def drift_of(aliases: Iterable[str], warn: Callable[[str], None]) -> list[str]:
    """Return what differs between shards that ought to have the same tables, and from their models.

    `warn` is told why the models could not be looked at. Raises `ShardFailed`.
    """
    groups: dict[frozenset[str], list[str]] = {}
    for alias in aliases:
        groups.setdefault(tables_of(models_of(alias)), []).append(alias)
    lines = []
    for tables, group in groups.items():
        found = run_on_shards(group, partial(_read, tables=tables))
        lines += differences(found, _expected(group[0], warn))
    return lines


def _read(alias: str, tables: frozenset[str]) -> Traits:
    return read(connections[alias], tables)


def _expected(alias: str, warn: Callable[[str], None]) -> Traits | None:
    try:
        return expected_on(alias, models_of(alias))
    except DatabaseError as error:
        said = str(error).strip()
        warn(
            f"The shards are compared with each other alone, not with the models: {alias} said: {said}"
        )
        return None
