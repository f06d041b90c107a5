"""Keep the index while rows are written: before, so that nobody else has the value, and after, so that old ones are free."""
# ruff: noqa: SLF001 - _meta and _state are Django's documented API

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, transaction
from django.db.models.signals import class_prepared, post_delete, pre_save

from scalekit.db.exceptions import LookupTaken, LookupUnsupported
from scalekit.db.sharding.declarations import declared_group, declared_key, group_of
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.lookup_index.connecting import hold
from scalekit.db.sharding.lookup_index.digests import digest_of
from scalekit.db.sharding.lookup_index.entries import Entry, Kept
from scalekit.db.sharding.lookup_index.freeing import free_at_once, free_later
from scalekit.db.sharding.lookup_index.reserving import Claim, reserve
from scalekit.db.sharding.placing import scheme_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from django.db.models import Field, Model, QuerySet


_in_bulk: ContextVar[bool] = ContextVar("scalekit_db_lookups_in_bulk", default=False)


@lru_cache(maxsize=1024)
def lookup_fields(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    """Return the fields of a model whose values are unique across shards: those that `shard_lookups` names."""
    found = []
    for name in getattr(model, "shard_lookups", ()):
        try:
            found.append(model._meta.get_field(name))
        except FieldDoesNotExist:
            continue  # a system check
    return tuple(found)  # type: ignore[arg-type]  # columns


def label_of(model: type[Model]) -> str:
    concrete = model._meta.concrete_model or model
    return concrete._meta.label_lower


@contextmanager
def claimed(
    rows: Sequence[Model], using: str | None, fields: Collection[str] | None = None
) -> Iterator[None]:
    """Take the values of rows of one shard for the block in which they are written, and all or `fields` of them.

    The block is one transaction on that shard. Raises `LookupTaken`, an `IntegrityError`.
    """
    wanted = _wanted(rows, fields)
    if not wanted or using is None:
        yield
        return
    fresh: list[Claim] = []
    written = False
    try:
        with transaction.atomic(using=using):
            _number(rows)
            claims = [claim for row in rows for claim in _claims(row, wanted, using)]
            fresh += reserve(claims)
            changed = [*_changed(fresh), *_emptied(rows, wanted)]
            yield
            free_later(type(rows[0]), changed, using)
            written = True
    finally:
        if (
            fresh and not written
        ):  # an error in the block: its transaction was never asked to commit
            free_at_once(type(rows[0]), [claim.entry for claim in fresh], using)


@contextmanager
def claimed_in_bulk(
    rows: Sequence[Model], using: str | None, fields: Collection[str]
) -> Iterator[None]:
    """Take the values of rows as `claimed` does, around a ``bulk_update()``, which updates queries itself."""
    token = _in_bulk.set(True)
    try:
        with claimed(rows, using, fields):
            yield
    finally:
        _in_bulk.reset(token)


@contextmanager
def claimed_by_update(rows: QuerySet[Any], values: dict[str, Any]) -> Iterator[QuerySet[Any]]:
    """Take the new value for the row that an ``update()`` changes. Raises `LookupTaken` for several rows.

    Gives the rows to update: those that were found, since another that comes to match would get a value not taken.
    """
    model: type[Model] = rows.model
    fields = [f for f in lookup_fields(model) if f.name in values]
    if not fields or group_of(model) is None or _in_bulk.get():
        yield rows
        return
    there: Any = rows.all()
    there._for_write = True
    home = there.db
    with transaction.atomic(using=home):
        # Before the row, as whoever saves it does, so that the two do not wait for each other.
        entries = [
            Entry(label_of(model), f.name, digest, "", "")
            for f in fields
            if (digest := digest_of(f, values[f.name])) is not None
        ]
        if entries:
            hold(connections[home], entries, model._meta.db_table)
        found = _locked(rows, home)
        for row in found:
            for field in fields:
                setattr(row, field.attname, values[field.name])
        there = rows.using(home)
        valued = next((f for f in fields if values[f.name] is not None), None)
        if valued is not None:
            if len(found) > 1:
                msg = f"{len(found)} rows would all have {valued.name} = {values[valued.name]!r}."
                raise LookupTaken(msg)
            there = there.filter(pk__in=[row.pk for row in found])
        with claimed(found, home, [field.name for field in fields]):
            yield there


def _locked(rows: QuerySet[Any], home: str) -> list[Any]:
    """Return the rows of a query of any kind: those that join, group or are DISTINCT cannot be locked themselves."""
    plain = rows.model._base_manager.using(home).filter(pk__in=rows.using(home).values("pk"))
    locks = connections[home].features.has_select_for_update
    return list(plain.select_for_update() if locks else plain)


def check_bulk(model: type[Model], *args: Any, **kwargs: Any) -> None:
    """Raise `LookupUnsupported` for a ``bulk_create()`` that leaves it to a shard which rows are written."""
    lax = any(args[1:]) or kwargs.get("ignore_conflicts") or kwargs.get("update_conflicts")
    if lax and lookup_fields(model) and group_of(model) is not None:
        msg = (
            f"bulk_create() of {model.__name__} cannot ignore or update conflicts: a row that was not written would "
            "keep its value from all others. Look which values exist first, or save the rows one by one."
        )
        raise LookupUnsupported(msg)


def free_deleted(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """Free the values of a row that was deleted, once that is committed."""
    if group_of(sender) is not None:
        row = str(instance.pk)
        free_later(sender, [(field.name, row, None) for field in lookup_fields(sender)], using)


def claim_raw(
    sender: type[Model], instance: Model, raw: bool, using: str, update_fields: Any, **_: Any
) -> None:
    """Take the values of a row of a fixture, which Django saves past the model's own methods."""
    fields = _wanted([instance], update_fields) if raw else ()
    if fields and using in scheme_of(declared_group(sender) or "").shards:
        with transaction.atomic(using=using):
            reserve(list(_claims(instance, fields, using)))


def watch_writes(sender: type[Model], **_: Any) -> None:
    """Listen to the deletions and fixtures of each model that has an index: a receiver for all would slow down all."""
    if getattr(sender, "shard_lookups", ()) and not sender._meta.abstract:
        post_delete.connect(free_deleted, sender=sender, dispatch_uid="scalekit.db.lookups")
        pre_save.connect(claim_raw, sender=sender, dispatch_uid="scalekit.db.lookups")


class_prepared.connect(watch_writes, dispatch_uid="scalekit.db.lookups")


def _wanted(rows: Sequence[Model], fields: Collection[str] | None) -> tuple[Field[Any, Any], ...]:
    if not rows or group_of(type(rows[0])) is None:
        return ()
    known = lookup_fields(type(rows[0]))
    return known if fields is None else tuple(f for f in known if f.name in fields)


def _number(rows: Sequence[Model]) -> None:
    """Give new rows their ids, which the index names them by, as Django is about to."""
    for row in rows:
        if row.pk is None:
            row.pk = row._meta.pk.get_pk_value_on_save(row)


def _claims(row: Model, fields: Sequence[Field[Any, Any]], home: str) -> Iterator[Claim]:
    model, group = type(row), declared_group(type(row)) or ""
    for field in fields:
        if field.attname not in row.__dict__:
            continue  # deferred, so not written
        value = row.__dict__[field.attname]
        digest = digest_of(field, value)
        if digest is not None:
            entry = Entry(label_of(model), field.name, digest, key_of_row(row), str(row.pk))
            yield Claim(model, field, value, entry, group, home, is_new=row._state.adding)


def key_of_row(row: Model) -> str:
    """Return a row's shard key as the index has it."""
    value: Any = row
    for name in (declared_key(type(row)) or "pk").split("__"):
        value = getattr(value, name)
    while hasattr(value, "_meta"):
        value = value.pk
    return canonical_text(value)


def _changed(fresh: Sequence[Claim]) -> Iterator[Kept]:
    """Return the new values of stored rows, whose old ones are to be freed."""
    entries = (claim.entry for claim in fresh if not claim.is_new)
    return ((entry.field, entry.row, entry.digest) for entry in entries)


def _emptied(rows: Sequence[Model], fields: Sequence[Field[Any, Any]]) -> Iterator[Kept]:
    """Return the fields of stored rows that are NULL, and may have had a value."""
    for row in rows:
        for field in fields:
            if not row._state.adding and row.__dict__.get(field.attname, "") is None:
                yield field.name, str(row.pk), None
