"""Enter values that are unique across shards (`shard_lookups`) as their rows are carried over.

In the transaction that forgets the changes: after the switch no row is missing in the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.exceptions import SplitRefused
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.lookup_index import entries as index
from scalekit.db.sharding.lookup_index.claiming import label_of, lookup_fields
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.sharding.lookup_index.entries import Entry
from scalekit.db.sharding.lookup_index.models import ShardLookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scalekit.db.sharding.splitting.tables import Table


def entries_of(table: Table, key: str, values: Mapping[str, str | None]) -> Iterator[Entry]:
    """Yield the entries of a row with these values by column, as texts."""
    for field in lookup_fields(table.model):
        digest = digest_of(field, values[str(field.column)])
        if digest is not None:
            row = values[table.pk] or ""
            yield Entry(label_of(table.model), field.name, digest, canonical_text(key), row)


def enter(table: Table, gone: set[str], entries: Sequence[Entry], alias: str) -> None:
    """Replace the entries of rows. Raises `SplitRefused` for a value that two rows have."""
    fields = [field.name for field in lookup_fields(table.model)]
    if not fields:
        return
    there: Any = ShardLookup.objects.using(alias).filter(model=label_of(table.model))
    there.filter(field__in=fields, row_id__in=gone).delete()
    stored = set(index.insert(connections[alias], entries))
    twice = next((entry for entry in entries if entry not in stored), None)
    if twice is not None:
        raise SplitRefused(
            f"{twice.field} of row {twice.row} of {table.name} is to be unique across shards (shard_lookups), and "
            "another row has the same. Change one of them, and run this again; what is copied stays."
        )


def empty(table: Table, alias: str) -> None:
    """Delete all entries of a table's rows."""
    ShardLookup.objects.using(alias).filter(model=label_of(table.model)).delete()
