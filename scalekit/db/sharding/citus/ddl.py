"""The statements that distribute a group's tables, in the order Citus takes them.

Citus wants the distribution column in every primary key, unique constraint and foreign key between
distributed tables (https://docs.citusdata.com/en/stable/develop/reference_ddl.html), and Django's tables have
it in few. So foreign keys go first, keys are made anew with the column at their end (so that they still serve a search by id alone), tables are
distributed, and foreign keys come back with the column on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PRIMARY_KEY, UNIQUE, FOREIGN_KEY, UNIQUE_INDEX = "p", "u", "f", "i"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint or unique index, as PostgreSQL's catalog has it."""

    name: str
    kind: str
    table: str
    columns: tuple[str, ...]
    to_table: str | None
    to_columns: tuple[str, ...]
    definition: str


class KeyMissing(ValueError):
    """A unique index does not have the shard key, and cannot be made anew from its columns alone."""


def statements(
    *,
    keys: Mapping[str, str],
    references: Sequence[str],
    constraints: Sequence[Constraint],
    shard_count: int,
    quote: Callable[[str], str],
    distributed: frozenset[str] = frozenset(),
) -> list[str]:
    """Return the SQL that distributes the tables of `keys` (table -> column of the shard key), in that order.

    Tables in `distributed` are Citus tables already and are left alone. Raises `KeyMissing`.
    """
    todo = {table: key for table, key in keys.items() if table not in distributed}
    if not todo and all(table in distributed for table in references):
        return []
    writer = _Writer(keys, quote)
    mine = [c for c in constraints if c.table in todo or c.to_table in todo]
    foreign = [c for c in mine if c.kind == FOREIGN_KEY]
    return [
        # One connection to each worker: a transaction may then touch reference tables and others in turn.
        "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",
        *(writer.dropped(c) for c in foreign),
        *(
            f"SELECT create_reference_table({_text(table)})"
            for table in references
            if table not in distributed
        ),
        *(sql for c in mine if c.table in todo for sql in writer.remade(c)),
        *_distribution(keys, todo, shard_count),
        *(writer.restored(c) for c in foreign),
    ]


def _distribution(
    keys: Mapping[str, str], todo: Mapping[str, str], shard_count: int
) -> Iterator[str]:
    first = next(iter(keys))
    for table, key in todo.items():
        how = (
            f"colocate_with => 'none', shard_count => {shard_count:d}"
            if table == first
            else f"colocate_with => {_text(first)}"
        )
        yield f"SELECT create_distributed_table({_text(table)}, {_text(key)}, {how})"


class _Writer:
    def __init__(self, keys: Mapping[str, str], quote: Callable[[str], str]) -> None:
        self._keys, self._quote = keys, quote

    def dropped(self, c: Constraint) -> str:
        return f"ALTER TABLE {c.table} DROP CONSTRAINT {self._quote(c.name)}"

    def remade(self, c: Constraint) -> Iterator[str]:
        """Give a primary key or a unique constraint the key as well; ids are unique with or without it."""
        key = self._keys[c.table]
        if c.kind == FOREIGN_KEY or key in c.columns:
            return
        if c.kind == UNIQUE_INDEX:
            raise KeyMissing(
                f"The unique index {c.name} does not have {key}, which Citus needs: add it to the "
                "UniqueConstraint, migrate, and run this again."
            )
        yield self.dropped(c)
        word = "PRIMARY KEY" if c.kind == PRIMARY_KEY else "UNIQUE"
        yield self._added(c, f"{word} ({self._columns((*c.columns, key))}){_deferral(c)}")

    def restored(self, c: Constraint) -> str:
        """Bring a foreign key back; between distributed tables with the key on both sides."""
        key, to_key = self._keys.get(c.table), self._keys.get(c.to_table or "")
        if key is None or to_key is None or _pairs(c, key, to_key):
            return self._added(c, c.definition)
        columns = self._columns((*c.columns, key))
        to_columns = self._columns((*c.to_columns, to_key))
        tail = c.definition.partition("REFERENCES")[2].partition(")")[2]
        return self._added(
            c, f"FOREIGN KEY ({columns}) REFERENCES {c.to_table}({to_columns}){tail}"
        )

    def _added(self, c: Constraint, definition: str) -> str:
        return f"ALTER TABLE {c.table} ADD CONSTRAINT {self._quote(c.name)} {definition}"

    def _columns(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._quote, names))


def _pairs(c: Constraint, key: str, to_key: str) -> bool:
    """Return whether a foreign key has the key at the same place on both sides."""
    return (key, to_key) in zip(c.columns, c.to_columns, strict=True)


def _deferral(c: Constraint) -> str:
    return "".join(f" {word}" for word in _DEFERRALS if f" {word}" in c.definition)


_DEFERRALS = ("DEFERRABLE", "INITIALLY DEFERRED")


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
