"""Compare each row with its copy, by a hash that both databases make; and look for copies without a row."""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.sharding.splitting.copying import CHUNK, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scalekit.db.sharding.splitting.copying import Mover
    from scalekit.db.sharding.splitting.tables import Table


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not on its shard as it is on the source."""

    table: str
    row: str
    shard: str
    what: str


class Verifier:
    """Walks through all tables; `differences` has what is wrong afterwards."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self._found: dict[Difference, None] = {}  # each once: copies are met from both sides

    @property
    def differences(self) -> list[Difference]:
        return list(self._found)

    def walk(self, chunk: int = CHUNK) -> Iterator[Step]:
        """Compare a chunk at a time."""
        for table in self._mover.tables:
            for ids in _pages(table, self._mover.source, chunk):
                self._look(table, ids)
                yield Step(table.name, len(ids), 0, is_last=False)
            for alias in self._mover.scheme.shards:
                for ids in _pages(table, alias, chunk):
                    self._look(table, ids)
                    yield Step(table.name, 0, 0, is_last=False)

    def _look(self, table: Table, ids: list[Any]) -> None:
        """Compare some rows as of one moment: nobody but the mover writes to the shards, and it has just done so."""
        with self._mover.snapshot() as cursor:
            self._mover.carry(cursor, None, 0)
            self._found |= dict.fromkeys(self._compare(table, ids))

    def _compare(self, table: Table, ids: list[Any]) -> Iterator[Difference]:
        scheme, expected = self._mover.scheme, {}
        for key, row, digest in _digests(table, self._mover.source, ids):
            expected[row] = scheme.shard_for(key), digest
            slot = table.slot_of(row)
            if slot is not None and slot % scheme.slots != scheme.slot(key):
                yield Difference(
                    table.name,
                    row,
                    expected[row][0],
                    "has an id of another shard key, so would be lost",
                )
        for alias in scheme.shards:
            there = {row: digest for _, row, digest in _digests(table, alias, ids)}
            for row, (home, digest) in expected.items():
                if home == alias and row not in there:
                    yield Difference(table.name, row, alias, "is missing")
                elif home == alias and there[row] != digest:
                    yield Difference(table.name, row, alias, "differs")
            for row in there:
                if row not in expected or expected[row][0] != alias:
                    yield Difference(table.name, row, alias, "should not be there")


def _pages(table: Table, alias: str, chunk: int) -> Iterator[list[Any]]:
    last: Any = None
    while True:
        rows = table.rows(alias).values_list("pk", flat=True)
        if last is not None:
            rows = rows.filter(pk__gt=last)
        ids = list(rows[:chunk])
        if ids:
            yield ids
        if len(ids) < chunk:
            return
        last = ids[-1]


def _digests(table: Table, alias: str, ids: Iterable[Any]) -> Iterable[tuple[str, str, int]]:
    """Return key, id and a 64-bit hash of each row, the first two as texts."""
    sql, params = table.rows_with(alias, ids).query.get_compiler(using=alias).as_sql()
    columns = [f"c{number}" for number in range(len(table.columns))]
    pk = columns[table.columns.index(table.pk)]
    row = ", ".join(columns)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT k::text, {pk}::text, hashtextextended(ROW({row})::text, 0) FROM ({sql}) AS s (k, {row})",
            params,
        )
        return list(cursor.fetchall())
