"""Where a sharded row lives, from its model, its key, its id or the block it is used in."""
# ruff: noqa: SLF001 - _meta and _state are Django's documented API

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes, settings
from scalekit.db.facts import REQUEST_SHARDS, SHARDS
from scalekit.db.sharding.fields import SnowflakeField
from scalekit.db.sharding.ids import ID_SLOTS, slot_of_id
from scalekit.db.sharding.refusals import away_from_home, key_required, torn_apart
from scalekit.db.sharding.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from django.db.models import Field, Model

    from scalekit.db.exceptions import ShardKeyRequired
    from scalekit.db.sharding.base import ShardingScheme, ShardKey

# What slots are before a group is configured, and inside every id.
DEFAULT_SCHEME = Slots("unsharded", shards=["unsharded"], slots=ID_SLOTS)

# Django asks for a database while an object is still being put together (`Like(user=user, photo=...)`),
# before it has its key. This alias exists nowhere, so a query that used it would fail aloud.
UNDECIDED = "the shard, once the row has its key"


def declared_group(model: type[Model]) -> str | None:
    """Return the shard group a model was written for, also of a model inside a migration."""
    group = getattr(model, "shard_group", None)
    if group:
        return str(group)
    through = model._meta.auto_created
    if through:
        return declared_group(through)  # type: ignore[arg-type]  # the class whose m2m made it
    key = model._meta.pk
    return key.shard_group if isinstance(key, SnowflakeField) else None


def declared_key(model: type[Model]) -> str | None:
    """Return the name of the shard key of a model, also of a model inside a migration."""
    key = getattr(model, "shard_key", None)
    if key:
        return str(key)
    pk = model._meta.pk
    return pk.shard_key if isinstance(pk, SnowflakeField) else None


def group_of(model: type[Model]) -> str | None:
    """Return the shard group of a model, None while that is not configured."""
    if not settings.SHARDING:
        return None
    group = declared_group(model)
    return group if group in settings.SHARDING else None


def group_of_app(app_label: str, group: str) -> bool:
    """Return whether an app has a model in a shard group."""
    models = apps.get_app_config(app_label).get_models()
    return any(declared_group(model) == group for model in models)


def scheme_of(group: str) -> ShardingScheme:
    return schemes[group] if group in settings.SHARDING else DEFAULT_SCHEME


def slot_of_key(group: str, key: ShardKey) -> int:
    return scheme_of(group).slot(key)


def first_slots(group: str) -> Iterator[tuple[str, int]]:
    """Return each shard of a group with one of its slots; the default database without a group."""
    if group not in settings.SHARDING:
        return iter([(DEFAULT_DB_ALIAS, 0)])
    scheme = schemes[group]
    seen: dict[str, int] = {}
    for slot in range(scheme.slots):
        seen.setdefault(scheme.shard_for_slot(slot), slot)
    return iter([(alias, seen[alias]) for alias in scheme.shards if alias in seen])


def slot_of_value(field: Field[Any, Any], value: Any, scheme: ShardingScheme) -> int | None:
    """Return the slot that a field's value names: a key hashes to it, an id holds it."""
    if value is None:
        return None
    if holds_id(field):
        return slot_of_id(value) % scheme.slots if isinstance(value, int) else None
    return scheme.slot(value)


def holds_id(field: Field[Any, Any]) -> bool:
    """Return whether a field is a snowflake id or a foreign key to one, directly or through others."""
    while field.remote_field is not None:
        field = field.target_field  # type: ignore[attr-defined]  # a foreign key has one
    return isinstance(field, SnowflakeField)


@lru_cache(maxsize=1024)
def placing_fields(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    """Return the fields whose value names a row's shard: the key, the id, ids of co-located rows."""
    name, group, options = declared_key(model), declared_group(model), model._meta
    key = [options.get_field(name)] if name else []
    ids = [f for f in options.concrete_fields if f not in key and _co_located(f, group)]
    return (*key, *ids)  # type: ignore[arg-type]  # a key is a column


def _co_located(field: Field[Any, Any], group: str | None) -> bool:
    if not holds_id(field):
        return False
    return field.primary_key or declared_group(field.related_model) == group  # type: ignore[arg-type]  # a class by now


def slots_of_instance(instance: Model, scheme: ShardingScheme) -> dict[str, int]:
    """Return the slots that a row's key, id and co-located rows name, by field; they should agree."""
    slots = {}
    for field in placing_fields(type(instance)):
        value = instance.__dict__.get(field.attname)
        slot = None if value is None else slot_of_value(field, field.to_python(value), scheme)
        if slot is not None:
            slots[field.attname] = slot
    return slots


def slot_of_instance(instance: Model, scheme: ShardingScheme) -> int | None:
    """Return the slot of a row, None while nothing names one. Raises `WrongShard`."""
    slots = slots_of_instance(instance, scheme)
    if len(set(slots.values())) > 1:
        raise torn_apart(instance, slots)
    return next(iter(slots.values()), None)


def primary_of_instance(instance: Model, group: str) -> str | None:
    """Return the primary an instance of a sharded model lives on, None while it has no key."""
    slot = slot_of_instance(instance, schemes[group])
    if slot is not None:
        return schemes[group].shard_for_slot(slot)
    came_from = current_cluster().owner.get(instance._state.db or "")
    return came_from if came_from in schemes[group].shards else None


def home_of(instance: Model, group: str, using: str | None = None) -> str:
    """Return the primary a row lives on. Raises `WrongShard` if it came from or would go elsewhere."""
    home = primary_of_instance(instance, group)
    if home is None:
        raise required(type(instance))
    came_from = None if instance._state.adding else instance._state.db
    for alias in (using, came_from):
        if alias is not None and current_cluster().owner.get(alias) != home:
            raise away_from_home(instance, home, alias)
    return home


def beside(instance: Model) -> AbstractContextManager[Any]:
    """Return a block in which queries that name no shard go to that of a row."""
    group = group_of(type(instance))
    slot = None if group is None else slot_of_instance(instance, schemes[group])
    if group is None or slot is None:
        return nullcontext()
    return SHARDS.bind({**SHARDS.get(), group: slot})


def primary_of(model: type[Model], group: str, instance: Any, *, for_write: bool) -> str:
    """Return the primary for a query about which Django tells only the model and a related instance."""
    alias = _primary_by_relation(model, group, instance) or primary_of_context(group)
    if alias is not None:
        return alias
    if for_write and instance is not None and not isinstance(instance, model):
        return UNDECIDED
    raise required(model)


def _primary_by_relation(model: type[Model], group: str, instance: Any) -> str | None:
    if instance is None or not hasattr(instance, "_meta"):
        return None
    if group_of(type(instance)) == group:
        return primary_of_instance(instance, group)
    field = next(iter(placing_fields(model)), None)
    if field is None or field.related_model is not instance._meta.concrete_model:
        return None
    value = getattr(instance, field.target_field.attname)  # type: ignore[attr-defined]  # a foreign key
    return None if value is None else schemes[group].shard_for(value)


def primary_of_context(group: str) -> str | None:
    """Return the primary that an enclosing `using_shard` block names, or the request's `ShardSelector`."""
    slot = SHARDS.get().get(group)
    if slot is None:
        ask = REQUEST_SHARDS.get()
        slot = None if ask is None else ask().get(group)
    return None if slot is None else schemes[group].shard_for_slot(slot)


def required(model: type[Model]) -> ShardKeyRequired:
    return key_required(model, declared_key(model), declared_group(model))
