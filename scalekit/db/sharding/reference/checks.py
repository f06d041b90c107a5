"""System checks of reference tables."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import settings
from scalekit.db.sharding.declarations import declared_group, is_reference
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.reference.fanout import (
    by_replication,
    citus_groups,
    reference_models,
    shards,
)
from scalekit.db.sharding.reference.following import Slot, forgotten_slots, slot_state
from scalekit.db.sharding.reference.models import ReferenceModel, ReferenceQuerySet
from scalekit.db.sharding.reference.publishing import published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model


def faults_of_reference_model(model: type[Model]) -> Iterator[CheckMessage]:
    """Find what a reference model, or a foreign key to one, could not do on a shard."""
    fields: list[Any] = [f for f in model._meta.local_fields if f.related_model is not None]
    for field in fields:
        other = field.related_model
        if is_reference(model) and not is_reference(other) and field.db_constraint:
            yield Error(
                f"{field} has a constraint to {other.__name__}, whose table shards do not have.",
                hint=f"Write a LooseForeignKey (from scalekit.db), or make {other.__name__} a ReferenceModel.",
                obj=field,
                id="scalekit.db.E052",
            )
        if declared_group(model) and is_reference(other) and field.db_constraint:
            yield Warning(
                f"{field} has a constraint to a copy: a row that names a {other.__name__} written a moment ago may be "
                "refused, and a deletion cannot reach the shard while rows there name it.",
                hint="Write a LooseForeignKey (from scalekit.db).",
                obj=field,
                id="scalekit.db.W052",
            )
    if issubclass(model, ReferenceModel):
        yield from _faults_of_declaration(model)


def faults_of_fanout() -> Iterator[CheckMessage]:
    """Find a way of carrying rows that the databases do not allow."""
    try:
        wrong = citus_groups() if settings.REFERENCE_FANOUT == "replication" else []
    except SettingInvalid:  # scalekit.core.E002 or E006 says so
        return
    if wrong:
        yield Error(
            f'SCALEKIT_DB_REFERENCE_FANOUT is "replication", which goes past Citus ({", ".join(wrong)}); the outbox is used.',
            hint='Write "auto" or "outbox".',
            id="scalekit.db.E055",
        )


def _faults_of_declaration(model: type[ReferenceModel]) -> Iterator[CheckMessage]:
    for manager in model._meta.managers:
        if not isinstance(manager.get_queryset(), ReferenceQuerySet):
            yield Error(
                f"{model.__name__}.{manager.name} is a manager whose writes shards do not hear of.",
                hint="Build it from ReferenceManager or ReferenceQuerySet (scalekit.db.sharding.reference.models).",
                obj=model,
                id="scalekit.db.E053",
            )
    if model._meta.parents:
        yield Error(
            f"A {model.__name__} is a row of several tables, which cannot be copied as one.",
            hint="Make its parent abstract.",
            obj=model,
            id="scalekit.db.E054",
        )


def faults_of_publication() -> Iterator[CheckMessage]:
    """Find reference tables that PostgreSQL should carry to shards, and was not told to."""
    try:
        wanted = {model._meta.db_table for model in reference_models()}
        if not wanted or not shards() or not by_replication():
            return
    except SettingInvalid:  # scalekit.core.E002 says so
        return
    with own_connection() as default:
        missing = wanted - published(default)
        slots = {alias: slot for alias in shards() if (slot := slot_state(default, alias))}
        forgotten = forgotten_slots(default)
    for name in forgotten:
        yield Warning(
            f"The replication slot {name} on default is that of no shard any more, and keeps the log.",
            hint=f"Drop the subscription there, and here: SELECT pg_drop_replication_slot('{name}').",
            id="scalekit.db.W056",
        )
    yield from _faults_of_slots(slots)
    if missing:
        yield Warning(
            f"Rows of {', '.join(sorted(missing))} do not reach the shards: default does not publish them.",
            hint="Run manage.py migrate, migrate_shards, then reference_tables setup.",
            id="scalekit.db.W053",
        )


def _faults_of_slots(slots: dict[str, Slot]) -> Iterator[CheckMessage]:
    for alias, slot in slots.items():
        if not slot.active or slot.wal_status != "reserved":
            yield Warning(
                f"{alias} does not follow default, which keeps {slot.lag:,} bytes of log for it ({slot.wal_status}).",
                hint="Run manage.py reference_tables status, and repair once the shard is back.",
                id="scalekit.db.W054",
            )
    if any(slot.limit == "-1" for slot in slots.values()):
        yield Warning(
            "default keeps its log for shards without a limit: one that never comes back fills its disk.",
            hint="Set max_slot_wal_keep_size; a shard that was away for longer is repaired by a new copy.",
            id="scalekit.db.W055",
        )
