"""The table of the index, by SQL: it is written on connections that no router knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSERT, READ, REPLACE, DELETE, OTHERS, PAGE = (
    Path(__file__).with_name(f"{name}.sql").read_text("utf-8")
    for name in ("insert", "read", "replace", "delete", "others", "page")
)
AT_ONCE = 500  # entries in one statement
NO_DIGEST = ""

Kept: TypeAlias = "tuple[str, str, str | None]"  # field, row, and the digest to keep, if any


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and the row that has it."""

    model: str
    field: str
    digest: str
    shard_key: str
    row: str

    @property
    def params(self) -> list[str]:
        return [self.model, self.field, self.digest, self.shard_key, self.row]


def insert(connection: Any, entries: Sequence[Entry]) -> list[Entry]:
    """Store the entries whose values are not there yet, and return them."""
    return [entry for part in _parts(entries) for entry in _insert(connection, part)]


def _insert(connection: Any, entries: Sequence[Entry]) -> list[Entry]:
    rows = ", ".join(["(%s, %s, %s, %s, %s)"] * len(entries))
    params = [param for entry in entries for param in entry.params]
    stored = set(_fetch(connection, INSERT.format(rows=rows), params))
    return [entry for entry in entries if (entry.field, entry.digest) in stored]


def read(connection: Any, wanted: Sequence[Entry]) -> list[Entry]:
    """Return the entries of the same values of one model, whichever rows have them."""
    found = []
    for part in _parts(wanted):
        places = ", ".join(["(%s, %s)"] * len(part))
        params = [param for entry in part for param in (entry.field, entry.digest)]
        rows = _fetch(connection, READ.format(values=places), [part[0].model, *params])
        found += [Entry(part[0].model, *row) for row in rows]
    return found


def replace(connection: Any, old: Entry, new: Entry) -> bool:
    """Give a value to another row, unless another has done so."""
    params = [new.shard_key, new.row, *old.params]
    return _execute(connection, REPLACE, params)


def delete(connection: Any, entry: Entry) -> bool:
    """Free a value, unless another row has it by now."""
    return _execute(connection, DELETE, entry.params)


def others(connection: Any, model: str, kept: Sequence[Kept]) -> Iterator[list[Entry]]:
    """Return, some rows at a time, the entries of rows besides the one that each has in a field."""
    for part in _parts(kept):
        rows = ", ".join(["(%s, %s)"] * len(part))
        values = ", ".join(["(%s, %s, %s)"] * len(part))
        params = [model, *(name for each in part for name in each[:2])]
        params += [name or NO_DIGEST for each in part for name in each]
        found = _fetch(connection, OTHERS.format(rows=rows, kept=values), params)
        if found:
            yield [Entry(model, *row) for row in found]


def pages(connection: Any, model: str, field: str, size: int) -> Iterator[list[Entry]]:
    """Return all entries of a field, `size` at a time."""
    last = 0
    while rows := _fetch(connection, PAGE, [model, field, last, size]):
        last = rows[-1][0]
        yield [Entry(model, field, *row[1:]) for row in rows]


def _parts(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (things[start : start + AT_ONCE] for start in range(0, len(things), AT_ONCE))


def _fetch(connection: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()  # type: ignore[no-any-return]  # a list of tuples


def _execute(connection: Any, sql: str, params: Sequence[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return bool(cursor.rowcount)
