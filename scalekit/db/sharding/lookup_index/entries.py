"""The table of the index, by SQL: it is written on connections that no router knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSERT, READ, REPLACE, DELETE, DELETE_OTHERS, PAGE = (
    Path(__file__).with_name(f"{name}.sql").read_text("utf-8")
    for name in ("insert", "read", "replace", "delete", "delete_others", "page")
)
AT_ONCE = 500  # entries in one statement
NO_DIGEST = ""


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


def delete_others(connection: Any, model: str, field: str, row: str, digest: str | None) -> None:
    """Free the values of a row, all but the one it has."""
    _execute(connection, DELETE_OTHERS, [model, field, row, digest or NO_DIGEST])


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
