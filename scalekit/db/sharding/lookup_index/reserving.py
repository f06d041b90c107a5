"""Take values for rows that are about to be written, as a unique index over all shards would.

A value is taken on `default` before its row is written, and the two are committed apart; so a writer that dies, or
rolls back, leaves an entry without a row. Whoever wants the value next finds out: a writer holds a lock of the value
on its own shard from before it takes the value until its transaction ends. Once another has got that lock there,
the writer is done or gone, and what the shard then has of the row is all there will be.

The order is that of Vitess' consistent lookup (https://vitess.io/docs/reference/features/vindexes/), with locks in
place of its two phases.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, OperationalError, connections
from django.db.models import QuerySet

from scalekit.db.events import LOOKUP_RECLAIMED
from scalekit.db.exceptions import LookupTaken
from scalekit.db.sharding.joins import ShardedQuery
from scalekit.db.sharding.lookup_index import entries as index
from scalekit.db.sharding.lookup_index.connecting import (
    hold,
    holding_apart,
    index_connection,
    is_busy,
)
from scalekit.db.sharding.mapping.loading import StoredMap
from scalekit.db.sharding.placing import scheme_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

    from scalekit.db.sharding.lookup_index.entries import Entry

TRIES = 10  # while others take and free the same value


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that a row wants to have, and where that row lies."""

    model: type[Model]
    field: Any
    value: Any
    entry: Entry
    group: str
    home: str
    is_new: bool  # so the row has no value yet

    @property
    def table(self) -> str:
        return self.model._meta.db_table  # noqa: SLF001 - Django's documented API

    def taken(self) -> LookupTaken:
        msg = (
            f"{self.model.__name__} with {self.field.name} = {self.value!r} already exists, perhaps on another shard. "
            f"Each {self.field.name} may be there once, since it is in shard_lookups."
        )
        return LookupTaken(msg)


def reserve(claims: Sequence[Claim]) -> list[Claim]:
    """Take values inside a transaction on the rows' shard, and return those that were not theirs before.

    Raises `LookupTaken`; what was taken until then is given back.
    """
    claims = sorted(claims, key=lambda claim: (claim.entry.field, claim.entry.digest))
    for one, next_one in pairwise(claims):
        if (one.entry.field, one.entry.digest) == (next_one.entry.field, next_one.entry.digest):
            raise next_one.taken()
    if not claims:
        return []
    home = connections[claims[0].home]
    hold(home, [claim.entry for claim in claims], claims[0].table)
    with index_connection() as connection:
        claims = _changed(connection, claims)
        inserted = set(index.insert(connection, [claim.entry for claim in claims]))
        fresh = [claim for claim in claims if claim.entry in inserted]
        try:
            held = [claim for claim in claims if claim.entry not in inserted]
            fresh.extend(claim for claim in held if _take_over(connection, claim))
        except DatabaseError:
            for claim in fresh:
                index.delete(connection, claim.entry)
            raise
    return fresh


def _changed(connection: Any, claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims of values that their rows do not have already, as most of stored rows do."""
    stored = [claim.entry for claim in claims if not claim.is_new]
    kept = set(index.read(connection, stored)) if stored else ()
    return [claim for claim in claims if claim.entry not in kept]


def _take_over(connection: Any, claim: Claim) -> bool:
    """Return whether a value was taken from a row that is gone; it may be the row's own already."""
    entry = claim.entry
    for _ in range(TRIES):
        found = index.read(connection, [entry])
        if not found:
            if index.insert(connection, [entry]):
                return True
        elif found[0] == entry:
            return False
        elif _taken_from(connection, found[0], claim):
            LOOKUP_RECLAIMED.emit(model=entry.model)
            return True
    raise claim.taken()


def _taken_from(connection: Any, found: Entry, claim: Claim) -> bool:
    """Take a value from another row. Raises `LookupTaken` if that has it, or is being written for too long.

    Returns False if it is to be tried again: another was faster, or the row has moved to another shard.
    """
    shard = scheme_of(claim.group).shard_for(found.shard_key)
    home = nullcontext(connections[shard])  # where this transaction holds the lock
    try:
        with home if shard == claim.home else holding_apart(shard, found) as there:
            _demand_free(there, claim)
            if shard_now(claim.group, found.shard_key) != shard:
                return False
            return index.replace(connection, found, claim.entry)
    except OperationalError as error:
        if is_busy(error):
            raise claim.taken() from error
        raise


def shard_now(group: str, shard_key: str) -> str:
    """Return a key's shard by the slot map as it is stored: by an older one, a row that has moved would seem gone."""
    scheme = scheme_of(group)
    if isinstance(scheme.stored, StoredMap):
        scheme.stored.reload()
    return scheme.shard_for(shard_key)


def _demand_free(shard: Any, claim: Claim) -> None:
    rows: QuerySet[Any] = QuerySet(claim.model, ShardedQuery(claim.model))
    others = rows.filter(**{claim.field.name: claim.value}).exclude(pk=claim.entry.row)
    if others.query.exists().get_compiler(connection=shard).has_results():
        raise claim.taken()
