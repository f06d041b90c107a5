"""A plan as SQL, made once for all shards, and what the answers mean.

Threads run it and fetch, no more; instances are made of those rows alone that the merge has left.
"""
# ruff: noqa: SLF001 - querysets of ours

from __future__ import annotations

from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connections

from scalekit.db.sharding.scatter.sorting import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scalekit.db.sharding.scatter.plans import Key, Plan


class Statement:
    """The SQL of a plan, as one server is asked and all that are like it."""

    def __init__(self, plan: Plan, alias: str) -> None:
        self._plan = plan
        self._compiler: Any = plan.part.query.get_compiler(using=alias)
        try:
            self._sql, self._params = self._compiler.as_sql()
        except EmptyResultSet:
            self._sql = ""

    def ask(self, alias: str) -> list[Any]:
        """Return the rows of a server as they come; in any thread."""
        if not self._sql:
            return []
        with connections[alias].cursor() as cursor:
            cursor.execute(self._sql, self._params)
            return list(cursor.fetchall())

    def chunk(self, alias: str, rows: list[Any]) -> Chunk:
        """Return rows with what they are merged by: those of a model not made yet, and with their server."""
        if self._plan.gives_tuples:
            return self._plan.chunk(self.made(alias, rows))
        columns = [self._column(key, rows) for key in self._plan.keys]
        return Chunk(list(zip(repeat(alias), rows)), columns)

    def made(self, alias: str, rows: list[Any]) -> list[Any]:
        """Return what Django makes of rows."""
        part = self._plan.ask(alias)
        self._compiler.execute_sql = lambda *_, **__: [rows]
        part.query.get_compiler = lambda *_, **__: self._compiler
        return list(part._iterable_class(part))

    def _column(self, key: Key, rows: list[Any]) -> list[Any]:
        place = self._place(key.name)
        values = list(map(itemgetter(place), rows))
        column = self._compiler.select[place][0]
        converters, _ = self._compiler.get_converters([column]).get(0, ((), None))
        for convert in converters:
            values = [convert(value, column, self._compiler.connection) for value in values]
        return values

    def _place(self, name: str) -> int:
        annotations: dict[str, int] = self._compiler.annotation_col_map or {}
        if name in annotations:
            return annotations[name]
        select = self._compiler.select
        fields: Iterable[int] = self._compiler.klass_info["select_fields"]
        return next(place for place in fields if select[place][0].target.attname == name)


def statements_for(plan: Plan, servers: Sequence[str]) -> dict[str, Statement]:
    """Return the statement for each server, one for all of a kind."""
    made: dict[Any, Statement] = {}
    found = {}
    for alias in servers:
        kind = _kind(plan, alias)
        if kind not in made:
            made[kind] = Statement(plan, alias)
        found[alias] = made[kind]
    return found


def rows_made(statements: dict[str, Statement], found: Sequence[tuple[str, Any]]) -> list[Any]:
    """Return instances in the order of their rows."""
    by_alias: dict[str, list[Any]] = {}
    for alias, row in found:
        by_alias.setdefault(alias, []).append(row)
    made = {alias: iter(statements[alias].made(alias, rows)) for alias, rows in by_alias.items()}
    return [next(made[alias]) for alias, _ in found]


def _kind(plan: Plan, alias: str) -> Any:
    """Return what SQL depends on: the vendor, and the time zone that values are given in."""
    if plan.part.query.select_for_update:
        return alias  # Django refuses it where no transaction is open
    connection: Any = connections[alias]
    return connection.vendor, connection.timezone_name
