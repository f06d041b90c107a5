"""Compare the index with the rows, and mend it: after a fixture of old, a restored backup, a column that is newly in it."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from scalekit.db.exceptions import LookupTaken
from scalekit.db.sharding.declarations import declaration_of, declared_group
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.lookup_index import entries as index
from scalekit.db.sharding.lookup_index.claiming import label_of, lookup_fields
from scalekit.db.sharding.lookup_index.connecting import holding_apart, is_busy
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.sharding.lookup_index.entries import Entry
from scalekit.db.sharding.lookup_index.freeing import free_rowless, rowless
from scalekit.db.sharding.lookup_index.reserving import Claim, reserve, shard_now
from scalekit.db.sharding.placing import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import Model

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was found in some rows, or in some entries."""

    size: int
    missing: tuple[
        Claim, ...
    ] = ()  # rows whose value is not in the index, or is another row's there
    dangling: tuple[Entry, ...] = ()  # entries whose row has no such value, or is not there


@dataclass(slots=True)
class Findings:
    """What was found in one model, and what of it could not be mended."""

    model: str
    checked: int = 0
    missing: int = 0
    dangling: int = 0
    twice: list[str] = field(default_factory=list)  # rows whose value another row has too

    @property
    def sound(self) -> bool:
        return not (self.missing or self.dangling or self.twice)


def count(model: type[Model]) -> int:
    """Return how many rows and entries there are to look at."""
    tables = [_entries(model), *(_rows(model, alias) for alias in _shards(model))]
    return sum(int(rows.count()) for rows in tables)


def examine(model: type[Model]) -> Iterator[Chunk]:
    """Compare all rows with the index, then all of the index with the rows. Changes nothing."""
    for alias in _shards(model):
        for rows in _pages(model, alias):
            yield _rows_examined(model, alias, rows)
    for fld in lookup_fields(model):
        for entries in index.pages(_index(), label_of(model), fld.name, CHUNK):
            yield _entries_examined(model, entries)


def mend(chunk: Chunk, findings: Findings, model: type[Model], *, dry_run: bool) -> None:
    """Count what was found in a chunk, and mend it unless this is a dry run."""
    findings.checked += chunk.size
    for claim in chunk.missing:
        if _is_free(claim) if dry_run else _is_taken(claim):
            findings.missing += 1
        else:
            findings.twice.append(f"{claim.field.name} of {model.__name__} {claim.entry.row}")
    for entry in chunk.dangling:
        findings.dangling += _is_dangling(model, entry, delete=not dry_run)


def _is_taken(claim: Claim) -> bool:
    """Take a row's value for it, as if it were saved now; that of another row stays that row's."""
    try:
        with transaction.atomic(using=claim.home):
            reserve([claim])
    except LookupTaken:
        return False
    return True


def _is_free(claim: Claim) -> bool:
    others = index.read(_index(), [claim.entry])
    return all(_is_dangling(claim.model, entry, delete=False) for entry in others)


def _is_dangling(model: type[Model], entry: Entry, *, delete: bool) -> bool:
    """Look again while nobody is writing the value; whoever is will see to the entry."""
    shard = shard_now(declared_group(model) or "", entry.shard_key)
    try:
        if delete:
            return bool(free_rowless(_index(), model, shard, [entry]))
        with holding_apart(shard, entry):
            return bool(rowless(model, shard, [entry]))
    except OperationalError as error:
        if is_busy(error):
            return False
        raise


def _rows_examined(model: type[Model], alias: str, rows: Sequence[Any]) -> Chunk:
    claims = [claim for row in rows for claim in _claims(model, alias, row)]
    stored = set(index.read(_index(), [claim.entry for claim in claims])) if claims else set()
    missing = tuple(claim for claim in claims if claim.entry not in stored)
    return Chunk(len(rows), missing=missing)


def _claims(model: type[Model], alias: str, row: Sequence[Any]) -> Iterator[Claim]:
    pk, key, *values = row
    group = declared_group(model) or ""
    for fld, value in zip(lookup_fields(model), values, strict=True):
        digest = digest_of(fld, value)
        if digest is not None:
            entry = Entry(label_of(model), fld.name, digest, canonical_text(key), str(pk))
            yield Claim(model, fld, value, entry, group, alias, is_new=True)


def _entries_examined(model: type[Model], entries: Sequence[Entry]) -> Chunk:
    by_shard: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_shard[_shard_of(model, entry)].append(entry)
    found = [e for alias, part in by_shard.items() for e in rowless(model, alias, part)]
    return Chunk(len(entries), dangling=tuple(found))


def _pages(model: type[Model], alias: str) -> Iterator[Sequence[Any]]:
    """Return the rows of a shard in the order of their ids, `CHUNK` at a time, wherever writers are meanwhile."""
    last: dict[str, Any] = {}
    while page := list(_rows(model, alias).filter(**last)[:CHUNK]):
        last = {"pk__gt": page[-1][0]}
        yield page


def _rows(model: type[Model], alias: str) -> Any:
    key = "__".join(f.name for f in declaration_of(model).path)
    columns = (fld.attname for fld in lookup_fields(model))
    rows = model._base_manager.using(alias).order_by("pk")
    return rows.values_list("pk", key, *columns)


def _entries(model: type[Model]) -> Any:
    from scalekit.db.models import ShardLookup

    return ShardLookup.objects.using(DEFAULT_DB_ALIAS).filter(model=label_of(model))


def _index() -> Any:
    return connections[DEFAULT_DB_ALIAS]


def _shards(model: type[Model]) -> tuple[str, ...]:
    return scheme_of(declared_group(model) or "").shards


def _shard_of(model: type[Model], entry: Entry) -> str:
    return scheme_of(declared_group(model) or "").shard_for(entry.shard_key)
