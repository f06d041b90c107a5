"""Find the shard of a query by a value that is unique across shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.lookups import Exact, In

from scalekit.db.exceptions import LookupUnsupported
from scalekit.db.sharding.lookup_index import entries as index
from scalekit.db.sharding.lookup_index.claiming import label_of, lookup_fields
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.sharding.lookup_index.entries import Entry
from scalekit.db.sharding.lookups import and_lookups
from scalekit.db.sharding.placing import scheme_of

if TYPE_CHECKING:
    from django.db.models.sql.query import Query


def shards_by_index(query: Query, group: str) -> frozenset[str] | None:
    """Return the shards of the rows that have the values a query asks for; None if it asks for none.

    None of them means that no row has these values. The index is read on the primary of `default`: a row is
    found as soon as it is committed.
    """
    model: Any = query.model
    fields = lookup_fields(model)
    if not fields or query.combinator:
        return None
    for lookup in and_lookups(query.where):
        column = getattr(getattr(lookup, "lhs", None), "target", None)
        if column in fields and isinstance(lookup, (Exact, In)) and lookup.rhs_is_direct_value():
            digests = _digests(column, lookup)
            if digests is not None:
                connection = connections[DEFAULT_DB_ALIAS]
                label = label_of(model)
                wanted = [Entry(label, column.name, digest, "", "") for digest in digests]
                found = index.read(connection, wanted)
                return frozenset(scheme_of(group).shard_for(entry.shard_key) for entry in found)
    return None


def _digests(column: Any, lookup: Any) -> set[str] | None:
    values = lookup.rhs if isinstance(lookup, In) else [lookup.rhs]
    try:
        return {digest for value in values if (digest := digest_of(column, value)) is not None}
    except LookupUnsupported:
        return None  # known to the database alone
