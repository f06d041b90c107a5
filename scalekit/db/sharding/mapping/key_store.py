"""The shards of single keys, looked up one by one: for groups with more of them than a process should read."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

from scalekit.db.sharding.mapping.connecting import ask, ask_at_hand

if TYPE_CHECKING:
    from scalekit.db.sharding.base import ShardingScheme

READ, COUNT, ADD = (
    Path(__file__).with_name(f"{name}.sql").read_text("utf-8")
    for name in ("read_key", "count_keys", "add_key")
)
COUNTED = 60.0  # seconds for which counts of keys are good enough; what this process adds, it adds to them


class StoredKeys:
    """The rows of `ShardMapKey` of one group."""

    def __init__(self, scheme: ShardingScheme) -> None:
        self._scheme = scheme
        self._counts: dict[str, int] = {}
        self._counted = -COUNTED

    def shard_of(self, text: str) -> str | None:
        return ask_at_hand(lambda connection: self._read(connection, text))

    def place(self, text: str) -> str:
        """Give a new key to the shard that has the fewest; of two processes that do, the first decides."""
        return ask(lambda connection: self._place(connection, text))

    def _read(self, connection: Any, text: str) -> str | None:
        with connection.cursor() as cursor:
            cursor.execute(READ, [self._scheme.alias, text])
            row = cursor.fetchone()
        return None if row is None else row[0]

    def _place(self, connection: Any, text: str) -> str:
        counts = self._fresh_counts(connection)
        alias = min(self._scheme.shards, key=lambda shard: counts.get(shard, 0))
        try:
            with connection.cursor() as cursor:
                cursor.execute(ADD, [self._scheme.alias, text, alias])
        except IntegrityError:
            there = self._read(connection, text)
            if there is None:
                raise
            return there
        counts[alias] = counts.get(alias, 0) + 1
        return alias

    def _fresh_counts(self, connection: Any) -> dict[str, int]:
        if monotonic() - self._counted >= COUNTED:
            with connection.cursor() as cursor:
                cursor.execute(COUNT, [self._scheme.alias])
                self._counts = dict(cursor.fetchall())
            self._counted = monotonic()
        return self._counts
