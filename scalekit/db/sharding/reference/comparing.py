"""Find the rows in which a shard's copy differs from `default`, although it has caught up."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from scalekit.db.events import REFERENCE_DIVERGED
from scalekit.db.sharding.reference.delivering import bring
from scalekit.db.sharding.reference.fanout import by_replication, columns_of
from scalekit.db.sharding.reference.following import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
DIGEST = (HERE / "digest.sql").read_text()
DIGEST_ROWS = (HERE / "digest_rows.sql").read_text()
BUCKETS = 1024  # a power of two: rows are compared one by one in those alone whose sums differ
ROUNDS = 3  # a row that is being written may differ for a moment, but not three times as before

Digest = dict[int, tuple[int, int]]  # by bucket: rows, and the sum of their hashes


def differences(alias: str, model: type[models.Model]) -> list[str]:
    """Return the primary keys, as texts, of the rows that differ, are missing on a shard, or only there.

    What is on its way is waited for, and what changes meanwhile is looked at again. Raises Django's errors.
    """
    suspects: dict[str, Any] = {}
    for round_number in range(ROUNDS):
        before = _Table(model, DEFAULT_DB_ALIAS, alias)
        digest = before.digest()
        wait(alias)
        found = _differing(before, digest, _Table(model, alias, DEFAULT_DB_ALIAS))
        suspects = found if round_number == 0 else _still(suspects, found)
        if not suspects:
            return []
    REFERENCE_DIVERGED.emit(alias=alias, table=model._meta.label_lower, rows=len(suspects))
    return sorted(suspects)


def wait(alias: str) -> None:
    """Return when a shard has been given what is committed on `default` now."""
    if by_replication():
        catch_up(alias)
    else:
        bring(alias)


def _still(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return {key: pair for key, pair in now.items() if key in before}


def _differing(default: _Table, digest: Digest, copy: _Table) -> dict[str, Any]:
    there = copy.digest()
    buckets = [b for b in digest.keys() | there.keys() if digest.get(b) != there.get(b)]
    if not buckets:
        return {}
    ours, theirs = default.rows(buckets), copy.rows(buckets)
    keys = ours.keys() | theirs.keys()
    return {key: theirs.get(key) for key in keys if ours.get(key) != theirs.get(key)}


class _Table:
    """A table of one database, in buckets by the hash of the primary key: no order of text matters.

    Servers compute the hashes where both are PostgreSQL; elsewhere they are those of the values in Python.
    """

    def __init__(self, model: type[models.Model], alias: str, other: str) -> None:
        self.model, self.connection = model, connections[alias]
        vendors = {connections[alias].vendor, connections[other].vendor}
        self.by_server = vendors == {"postgresql"}

    def digest(self) -> Digest:
        if self.by_server:
            rows = self._query(DIGEST, [])
            return {bucket: (count, int(total)) for bucket, count, total in rows}
        found: Digest = {}
        for key, value in self._hashed():
            count, total = found.get(_bucket(key), (0, 0))
            found[_bucket(key)] = count + 1, total + value
        return found

    def rows(self, buckets: list[int]) -> dict[str, int]:
        """Return the hash of each row by its primary key."""
        if self.by_server:
            return dict(self._query(DIGEST_ROWS, [buckets]))
        wanted = set(buckets)
        return {key: value for key, value in self._hashed() if _bucket(key) in wanted}

    def _query(self, sql: str, params: list[Any]) -> list[Any]:
        quote: Callable[[str], str] = self.connection.ops.quote_name
        names = [quote(column) for column in columns_of(self.model)]
        text = sql.format(
            table=quote(self.model._meta.db_table),
            pk=quote(str(self.model._meta.pk.column)),
            columns=", ".join(names),
            mask=BUCKETS - 1,
        )
        with transaction.atomic(using=self.connection.alias), self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL TimeZone = 'UTC'")  # as text the hash is of that
            cursor.execute(text, params)
            return list(cursor.fetchall())

    def _hashed(self) -> Iterator[tuple[str, int]]:
        rows: Any = models.QuerySet(self.model, using=self.connection.alias)
        columns = [f.attname for f in self.model._meta.local_concrete_fields]
        for row in rows.values_list("pk", *columns).iterator(2000):
            yield str(row[0]), _hash(repr(row))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _bucket(key: str) -> int:
    return _hash(key) % BUCKETS
