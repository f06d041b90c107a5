"""Free the values that rows have no more.

Only after a look at the row, under the lock of the value: another process may have given it back meanwhile, or the same
transaction, which deletes a row and writes it anew.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction

from scalekit.db.sharding.lookup_index import entries as index
from scalekit.db.sharding.lookup_index.connecting import (
    hold,
    index_connection,
    limit_wait,
)
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

    from scalekit.db.sharding.lookup_index.entries import Entry, Kept


class Freeing:
    """What is to be freed when a transaction on a shard has been committed; called by Django then."""

    def __init__(self, model: type[Model], alias: str) -> None:
        self.model, self.alias = model, alias
        self.kept: list[Kept] = []

    def __call__(self) -> None:
        label = self.model._meta.concrete_model._meta.label_lower  # type: ignore[union-attr]  # noqa: SLF001 - Django's documented API
        # The rows are committed, so nothing may fail any more; whoever wants a value finds out that it is free.
        with suppress(DatabaseError), index_connection() as connection:
            for entries in index.others(connection, label, self.kept):
                free_rowless(connection, self.model, self.alias, entries)


def free_later(model: type[Model], kept: Sequence[Kept], alias: str) -> None:
    """Free, once the transaction that is open on a shard is committed, what rows have besides `kept`."""
    if not kept:
        return
    due = connections[alias].run_on_commit
    freeing = due[-1][1] if due else None
    if not isinstance(freeing, Freeing) or freeing.model is not model:
        freeing = Freeing(model, alias)
        transaction.on_commit(freeing, using=alias)
    freeing.kept += kept


def free_at_once(model: type[Model], entries: Sequence[Entry], alias: str) -> None:
    """Free what was taken for rows that were not written. Where that fails, it is found out when it is wanted."""
    with suppress(DatabaseError), index_connection() as connection:
        free_rowless(connection, model, alias, entries)


def free_rowless(
    connection: Any, model: type[Model], alias: str, entries: Sequence[Entry]
) -> list[Entry]:
    """Free those of a shard's values whose row has them no more, and return them.

    Raises `OperationalError` if another transaction has one for too long: one that is prepared, perhaps.
    """
    shard = connections[alias]
    is_nested = is_open(shard)
    with transaction.atomic(using=alias):
        if not is_nested:  # a limit would be that of the caller's transaction
            limit_wait(shard)
        hold(shard, entries, model._meta.db_table)  # noqa: SLF001 - Django's documented API
        gone = rowless(model, alias, entries)
        for entry in gone:
            index.delete(connection, entry)
    return gone


def rowless(model: type[Model], alias: str, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose row is not on a shard, or has another value there."""
    found: list[Entry] = []
    for name in dict.fromkeys(entry.field for entry in entries):
        field: Any = model._meta.get_field(name)  # noqa: SLF001 - Django's documented API
        mine = [entry for entry in entries if entry.field == name]
        rows = model._base_manager.using(alias).filter(pk__in=[entry.row for entry in mine])  # noqa: SLF001 - Django's documented API
        digests = {
            str(pk): digest_of(field, value) for pk, value in rows.values_list("pk", field.attname)
        }
        found += [entry for entry in mine if digests.get(entry.row) != entry.digest]
    return found
