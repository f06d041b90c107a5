"""Carry rows over to their shards: a chunk of a table at a time, and with it all that was changed meanwhile.

Each step reads from one snapshot of the source, so what it writes to a shard is in order by itself: a row
never comes before the one it refers to. The shards commit first, then the source forgets the changes and moves
its position; killed in between, the step is done again, which changes nothing.
"""
# ruff: noqa: S608 - the names are those of tables, and quoted

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, transaction

from scalekit.db.exceptions import SplitRefused
from scalekit.db.sharding.splitting import indexing
from scalekit.db.sharding.splitting.capturing import take_changes
from scalekit.db.sharding.splitting.models import SplitTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scalekit.db.sharding.base import ShardingScheme
    from scalekit.db.sharding.lookup_index.entries import Entry
    from scalekit.db.sharding.splitting.tables import Table

CHUNK = 10_000  # rows of one step
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}  # of COPY's text
NULL = rb"\N"


@dataclass(frozen=True, slots=True)
class Step:
    """What one step has carried over: rows of a table, and changed rows of any."""

    table: str
    size: int
    changes: int
    is_last: bool


@dataclass(slots=True)
class Parcel:
    """What one shard gets of one table: ids to be removed, and rows to be put in their place."""

    gone: set[str] = field(default_factory=set)
    lines: list[bytes] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)  # of values that are unique across shards


class Mover:
    """Carries the tables of a group over; one at a time alone may."""

    def __init__(
        self, group: str, scheme: ShardingScheme, tables: Sequence[Table], source: str
    ) -> None:
        self.group, self.scheme, self.tables, self.source = group, scheme, tables, source
        self._homes: dict[bytes, str] = {}

    def begin(self) -> None:
        """Note that whatever is on the shards from now on was put there by this."""
        for table in self.tables:
            self._state(table)

    def copy(self, chunk: int = CHUNK) -> Iterator[Step]:
        """Copy what is left of each table; a step at a time."""
        for table in self.tables:
            while not self._state(table).done:
                yield self.step(table, chunk)

    def catch_up(self) -> Step:
        """Carry over what was changed, and no more."""
        return self.step(None, 0)

    def step(self, table: Table | None, chunk: int) -> Step:
        with self.snapshot() as cursor:
            return self.carry(cursor, table, chunk)

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """Open a transaction on the source, all of which sees the rows of one moment."""
        with transaction.atomic(using=self.source), connections[self.source].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield cursor

    def carry(self, cursor: Any, table: Table | None, chunk: int) -> Step:
        """Do a step in the caller's transaction on the source."""
        parcels: dict[str, dict[str, Parcel]] = defaultdict(lambda: defaultdict(Parcel))
        changes = self._pack_changes(cursor, parcels)
        rows = [] if table is None else self._pack_chunk(cursor, table, chunk, parcels)
        self._index(parcels)
        for alias in self.scheme.shards:
            self._deliver(alias, parcels[alias])
        if table is None:
            return Step("", 0, changes, is_last=True)
        state = self._state(table)
        state.copied += len(rows)
        state.done = len(rows) < chunk
        state.last_id = rows[-1] if rows else state.last_id
        state.save(using=self.source)
        return Step(table.name, len(rows), changes, is_last=state.done)

    def empty(self) -> None:
        """Delete the copies on every shard, and what was noted of their values."""
        for table in self.tables:
            indexing.empty(table, self.source)
        for alias in self.scheme.shards:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                for table in reversed(self.tables):
                    cursor.execute(f"DELETE FROM {connections[alias].ops.quote_name(table.name)}")

    def _state(self, table: Table) -> SplitTable:
        found, _ = SplitTable.objects.using(self.source).get_or_create(
            group=self.group, table=table.name
        )
        return found

    def _pack_changes(self, cursor: Any, parcels: Any) -> int:
        """Pack changed rows as they are now; those of rows that are yet to be copied come by themselves."""
        changed = take_changes(self.group, cursor)
        count = sum(map(len, changed.values()))
        for table in self.tables:
            ids = changed.setdefault(table.name, set())
            ids |= table.hanging_on(self.source, changed)  # they lie where their parent does now
            if not ids:
                continue
            state = self._state(table)
            for alias in self.scheme.shards:  # a row whose key was changed lies on another
                parcels[alias][table.name].gone |= ids
            if state.last_id or state.done:
                rows = table.rows_with(self.source, map(table.id_of, ids))
                if not state.done:
                    rows = rows.filter(pk__lte=table.id_of(state.last_id))
                self._pack(cursor, table, rows, parcels)
        return count

    def _pack_chunk(self, cursor: Any, table: Table, chunk: int, parcels: Any) -> list[str]:
        rows, last = table.rows(self.source), self._state(table).last_id
        if last:
            rows = rows.filter(pk__gt=table.id_of(last))
        ids = self._pack(cursor, table, rows[:chunk], parcels)
        for alias in self.scheme.shards:
            parcels[alias][table.name].gone.update(ids)
        return ids

    def _pack(self, cursor: Any, table: Table, rows: Any, parcels: Any) -> list[str]:
        """Sort rows by shard, unread; return their ids, as texts."""
        ids, place = [], table.columns.index(table.pk)
        for line in copied_out(cursor, rows, self.source):
            key, _, row = line.partition(b"\t")
            parcel = parcels[self._home(table, key)][table.name]
            parcel.lines.append(row)
            values = row.removesuffix(b"\n").split(b"\t")
            ids.append(text_of(values[place]))
            if table.has_lookups:
                texts = [None if value == NULL else text_of(value) for value in values]
                named = dict(zip(table.columns, texts, strict=True))
                parcel.entries += indexing.entries_of(table, text_of(key), named)
        return ids

    def _index(self, parcels: dict[str, dict[str, Parcel]]) -> None:
        for table in self.tables:
            packed = [
                parcels[alias][table.name]
                for alias in self.scheme.shards
                if table.name in parcels[alias]
            ]
            gone = {row for parcel in packed for row in parcel.gone}
            entries = [entry for parcel in packed for entry in parcel.entries]
            indexing.enter(table, gone, entries, self.source)

    def _home(self, table: Table, key: bytes) -> str:
        home = self._homes.get(key)
        if home is None:
            if key == NULL:
                raise SplitRefused(
                    f"A row of {table.name} has no shard key ({table.key} is NULL). Fill it in, and run this again; "
                    "what is copied stays."
                )
            if len(self._homes) > CHUNK:
                self._homes.clear()
            home = self._homes[key] = self.scheme.shard_for(text_of(key))
        return home

    def _deliver(self, alias: str, parcels: dict[str, Parcel]) -> None:
        packed = [(table, parcels[table.name]) for table in self.tables if table.name in parcels]
        if not packed:
            return
        try:
            self._replace(alias, packed)
        except IntegrityError as error:
            raise SplitRefused(
                f"{alias} refuses rows: {str(error).strip()}. Either the row that they refer to has another shard key "
                "than they have, or the constraint holds here and not there. Mend that, and run this again; what is "
                "copied stays."
            ) from error

    def _replace(self, alias: str, packed: Sequence[tuple[Table, Parcel]]) -> None:
        quote = connections[alias].ops.quote_name
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            for table, parcel in reversed(packed):
                kind = table.model._meta.pk.rel_db_type(connections[alias])  # noqa: SLF001 - Django's documented API
                cursor.execute(
                    f"DELETE FROM {quote(table.name)} WHERE {quote(table.pk)} = ANY (%s::{kind}[])",
                    [sorted(parcel.gone)],
                )
            for table, parcel in packed:
                copy_in(cursor, table, parcel.lines, quote)


def copied_out(cursor: Any, rows: Any, alias: str) -> Iterable[bytes]:
    """Return rows as lines of COPY's text, without making Python values of them."""
    sql, params = rows.query.get_compiler(using=alias).as_sql()
    with cursor.copy(f"COPY ({sql}) TO STDOUT", params) as copy:
        for block in copy:
            yield bytes(block)


def copy_in(cursor: Any, table: Table, lines: list[bytes], quote: Any) -> None:
    if not lines:
        return
    columns = ", ".join(map(quote, table.columns))
    with cursor.copy(f"COPY {quote(table.name)} ({columns}) FROM STDIN") as copy:
        copy.write(b"".join(lines))


def text_of(value: bytes) -> str:
    """Return a value of COPY's text as it was."""
    text = value.decode()
    if "\\" not in text:
        return text
    parts = iter(text.split("\\"))
    found = [next(parts)]
    for part in parts:
        if part:
            found.append(ESCAPES.get(part[0], part[0]) + part[1:])
        else:  # an escaped backslash: what follows is as it is
            found.append("\\" + next(parts, ""))
    return "".join(found)
