"""Text as the database sorts it: by byte where that is its collation, else by the word of one server.

Python knows no collation of ICU or libc. So where text of several shards is merged, the server that has
answered is asked for the ranks of the values at hand, which are exact by definition.
"""
# ruff: noqa: SLF001 - the queryset a probe is made of

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.models import Func, TextField
from django.db.models.expressions import Col
from django.db.models.query import ValuesListIterable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalekit.db.sharding.scatter.judges import Judges

PROBE = "_scatter_collation"


@dataclass(frozen=True, slots=True)
class Collation:
    """How a column's text is compared. `name` is quoted, as PostgreSQL gives it."""

    name: str = ""
    deterministic: bool = True
    binary: bool = True


BINARY = Collation()


@cache
def sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def collation_of(rows: Any, expression: Any, judges: Judges) -> Collation | None:
    """Return the collation of an expression in a queryset's rows; None if it cannot be known.

    PostgreSQL is asked, of a row on the first shard that has one: without any there is nothing to compare.
    """
    if judges.vendor == "sqlite":
        return BINARY if _is_sqlite_default(expression) else None
    if judges.vendor != "postgresql":
        return None
    for alias in judges.servers:
        for (found,) in _probe(rows, expression, alias):
            told = json.loads(found)
            return Collation(told["name"], told["deterministic"], told["binary"])
    return BINARY


def ranks(texts: set[Any], collation: Collation, judges: Judges) -> Mapping[Any, int]:
    """Return the rank of each text under a collation, as a server has it."""
    if not texts:
        return {}
    return dict(judges.ask(sql("rank.sql").format(collation=collation.name), [list(texts)]))


def _probe(rows: Any, expression: Any, alias: str) -> Any:
    probe = rows._chain()
    probe.query.clear_ordering(force=True)
    probe.query.clear_limits()
    probe.query.distinct, probe.query.distinct_fields = False, ()
    known = Func(expression, template=sql("collation.sql"), output_field=TextField())
    probe.query.clear_select_clause()
    probe.query.add_annotation(known, PROBE)
    probe.query.set_limits(0, 1)
    probe._iterable_class, probe._prefetch_related_lookups = ValuesListIterable, ()
    return probe.using(alias)


def _is_sqlite_default(expression: Any) -> bool:
    """Return whether no column of an expression has a collation of its own, so that bytes are compared."""
    columns = [node for node in expression.flatten() if isinstance(node, Col)]
    named = {getattr(column.target, "db_collation", None) for column in columns}
    return named <= {None, "BINARY"} and not any(
        getattr(node, "function", None) == "COLLATE" for node in expression.flatten()
    )
