"""Where a sharded row lives, from its model, its key, its id or the block it is used in."""
# ruff: noqa: SLF001 - _meta and _state are Django's documented API

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes, settings
from scalekit.db.facts import REQUEST_SHARDS, SHARDS
from scalekit.db.sharding import hot_keys
from scalekit.db.sharding.declarations import (
    declaration_of,
    declared_group,
    declared_key,
    group_of,
    group_of_app,
    holds_id,
    is_reference,
    pointed_at,
)
from scalekit.db.sharding.ids import ID_SLOTS
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.probing import located, row_anywhere
from scalekit.db.sharding.refusals import away_from_home, key_is_fixed, key_required, torn_apart
from scalekit.db.sharding.slots import Slots

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.db.models import Model

    from scalekit.db.exceptions import ShardKeyRequired
    from scalekit.db.sharding.base import ShardingScheme, ShardKey

__all__ = [
    "DEFAULT_SCHEME",
    "AnyShard",
    "beside",
    "binding_of",
    "declaration_of",
    "declared_group",
    "declared_key",
    "group_of",
    "group_of_app",
    "holds_id",
    "home_of",
    "is_reference",
    "on_any_shard",
    "on_shard",
    "own_slot",
    "primary_of",
    "primary_of_context",
    "primary_of_instance",
    "required",
    "scheme_of",
    "shards_of",
    "slot_of_instance",
    "slot_of_key",
]

# What slots are before a group is configured, and inside every id.
DEFAULT_SCHEME = Slots("unsharded", shards=["unsharded"], slots=ID_SLOTS)

KEY, SHARD, ANY = "key:", "shard:", "any"  # what a bound text begins with


class AnyShard(str):
    """A shard named only because Django wants a database's features before it knows the row.

    So it is when a relation of an unsharded row is followed, or a row is still being put together
    (`Like(user=user, photo=...)`). Sharded querysets find their own shard nevertheless.
    """

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        """Differ from no shard: a related manager refuses rows that lie elsewhere than it writes."""
        return not isinstance(other, str) or other not in current_cluster().shard_aliases


def scheme_of(group: str) -> ShardingScheme:
    return schemes[group] if group in settings.SHARDING else DEFAULT_SCHEME


def shards_of(group: str) -> tuple[str, ...]:
    """Return the shards of a group, in the order of the setting; the default database while they have no rows."""
    if group not in settings.SHARDING:
        return (DEFAULT_DB_ALIAS,)
    scheme = schemes[group]
    return (scheme.starts_on,) if scheme.starts_on and not scheme.map.live else scheme.shards


def slot_of_key(group: str, key: ShardKey) -> int:
    return scheme_of(group).slot(key)


# What an enclosing block names.


def binding_of(group: str, key: ShardKey) -> str:  # noqa: ARG001 - of each group the same so far
    """Return what the fact `SHARDS` holds for a key: the key itself, which finds its shard when it has moved."""
    return KEY + canonical_text(key)


def on_shard(group: str, alias: str) -> AbstractContextManager[Any]:
    """Return a block in which queries of a group that name no shard go to the shard of primary `alias`."""
    return SHARDS.bind({**SHARDS.get(), group: SHARD + alias})


def on_any_shard(group: str) -> AbstractContextManager[Any]:
    """Return a block in which Django may ask where a group is written, before it knows a row; no query may."""
    return SHARDS.bind({**SHARDS.get(), group: ANY})


def primary_of_context(group: str) -> str | None:
    """Return the primary that an enclosing `using_shard` block names, or the request's `ShardSelector`."""
    bound = SHARDS.get().get(group)
    if bound is None:
        ask = REQUEST_SHARDS.get()
        bound = None if ask is None else ask().get(group)
    return None if bound is None else _primary_of_binding(schemes[group], bound)


def _primary_of_binding(scheme: ShardingScheme, bound: int | str) -> str | None:
    if isinstance(bound, int):  # a slot, in a message of before or as the request's
        candidates = scheme.shards_for_slot(bound)
        return candidates[0] if len(candidates) == 1 else None
    if bound.startswith(KEY):
        key = bound.removeprefix(KEY)
        hot_keys.seen(scheme.alias, key)
        return scheme.shard_for(key)
    alias = bound.removeprefix(SHARD)
    return alias if alias in scheme.shards else None


# What a row says.


def key_of_instance(instance: Model) -> Any:
    """Return a row's shard key, None while that is not known without asking a database."""
    path: tuple[Any, ...] = declaration_of(type(instance)).path
    row: Any = instance
    for field in path[:-1]:
        row = field.get_cached_value(row, default=None)
        if row is None:
            return None
    value = row.__dict__.get(path[-1].attname) if path else None
    known = value is not None and not hasattr(value, "resolve_expression")
    return path[-1].to_python(value) if known else None


def slots_of_instance(instance: Model, scheme: ShardingScheme) -> dict[str, int]:
    """Return the slots that a row's key, id and co-located rows name, by field; they should agree."""
    key = key_of_instance(instance)
    if key is None:
        return _slots_of_ids(instance, scheme)
    name = "__".join(field.name for field in declaration_of(type(instance)).path)
    return {name: scheme.slot(key), **_slots_of_ids(instance, scheme)}


def slot_of_instance(instance: Model, scheme: ShardingScheme) -> int | None:
    """Return the slot of a row, None while nothing names one. Raises `WrongShard`."""
    slots = slots_of_instance(instance, scheme)
    if len(set(slots.values())) > 1:
        raise torn_apart(instance, slots)
    if not slots and _knows_parent(instance):
        return slot_of_instance(instance, scheme)
    return next(iter(slots.values()), None)


def own_slot(instance: Model, group: str) -> int | None:
    """Return the slot that a row's own key names, or its id, whatever rows it hangs on."""
    scheme = schemes[group]
    if scheme.spreads_itself:
        return None
    if declaration_of(type(instance)).own_key is not None:
        key = key_of_instance(instance)
        return None if key is None else scheme.slot(key)
    slot = slot_of_value(instance._meta.pk, instance.pk) if holds_id(instance._meta.pk) else None
    return None if slot is None else slot % scheme.slots


def primary_of_instance(instance: Model, group: str) -> str | None:
    """Return the primary an instance of a sharded model lives on, None while it has no key."""
    return _primary_by_key(instance, group, key_of_instance(instance))


def _primary_by_key(instance: Model, group: str, key: Any) -> str | None:
    scheme = schemes[group]
    if scheme.spreads_itself:
        return scheme.shards[0]
    slots = _slots_of_ids(instance, scheme)
    if key is not None:
        if slots and {scheme.slot(key)} != set(slots.values()):
            raise torn_apart(instance, slots_of_instance(instance, scheme))
        return scheme.shard_for(key)
    if len(set(slots.values())) > 1:
        raise torn_apart(instance, slots)
    came_from = _came_from(instance, scheme)
    if not slots:
        return came_from or _primary_of_unknown(instance, group)
    candidates = scheme.shards_for_slot(next(iter(slots.values())))
    if len(candidates) == 1:
        return candidates[0]
    return came_from if came_from in candidates else _found_among(candidates, instance)


def _slots_of_ids(instance: Model, scheme: ShardingScheme) -> dict[str, int]:
    slots = {}
    for field in declaration_of(type(instance)).ids:
        value = instance.__dict__.get(field.attname)
        slot = slot_of_value(field, value)
        if slot is not None:
            slots[field.attname] = slot % scheme.slots
    return slots


def slot_of_value(field: Any, value: Any) -> int | None:
    """Return the slot of an id, or of the row it is given as, for a column of ids; None if it holds none."""
    value = getattr(value, "pk", value)
    if value is None or hasattr(value, "resolve_expression"):
        return None
    slot: int | None = pointed_at(field).slot_of(field.to_python(value))
    return slot


def _primary_of_unknown(instance: Model, group: str) -> str | None:
    """Look for a row of which no value says where it lies, or for the row it hangs on."""
    if _knows_parent(instance):
        return primary_of_instance(instance, group)
    return _found_among(schemes[group].shards, instance)


def home_of(instance: Model, group: str, using: str | None = None) -> str:
    """Return the primary a row lives on. Raises `WrongShard` if it came from or would go elsewhere."""
    key = key_of_instance(instance)
    home = _primary_by_key(instance, group, key)
    if home is None:
        raise required(type(instance))
    own_key = declaration_of(type(instance)).own_key
    if key is None and own_key is not None and instance.__dict__.get(own_key.attname) is not None:
        raise key_is_fixed(
            type(instance), own_key.name
        )  # an expression, which only the database knows
    if key is not None:
        hot_keys.seen(group, key)
    owner = current_cluster().owner
    if using is not None and not isinstance(using, AnyShard) and owner.get(using) != home:
        raise away_from_home(instance, home, using)
    came_from = None if instance._state.adding else instance._state.db
    if came_from is not None and owner.get(came_from) != home and not _has_moved(instance, home):
        raise away_from_home(instance, home, came_from)
    return home


def beside(instance: Model) -> AbstractContextManager[Any]:
    """Return a block in which queries that name no shard go to that of a row."""
    group = group_of(type(instance))
    alias = None if group is None else primary_of_instance(instance, group)
    return nullcontext() if group is None or alias is None else on_shard(group, alias)


def _came_from(instance: Model, scheme: ShardingScheme) -> str | None:
    alias = instance._state.db
    if alias is None or isinstance(alias, AnyShard):
        return None
    owner = current_cluster().owner.get(alias)
    return owner if owner in scheme.shards else None


def _has_moved(instance: Model, home: str) -> bool:
    """Return whether a row that was read elsewhere lies at home by now, as its slot has moved.

    A row whose key was changed does not: it would be looked for where it is not.
    """
    rows = type(instance)._base_manager.using(home)
    return rows.filter(pk=instance.pk).exists()


def _found_among(candidates: tuple[str, ...], instance: Model) -> str | None:
    """Return which of the shards that a slot is spread over has the row, or those it hangs on."""
    for field in declaration_of(type(instance)).ids:
        value = instance.__dict__.get(field.attname)
        if value is not None:
            alias = next(iter(located(field, [value], candidates).values()), None)
            if alias is not None:
                return alias
    return None


def _knows_parent(instance: Model) -> bool:
    """Load the co-located row that has this one's key, where nothing but that row tells the shard."""
    path = declaration_of(type(instance)).path
    field: Any = path[0] if len(path) > 1 else None
    if field is None or field.is_cached(instance):
        return False
    value = instance.__dict__.get(field.attname)
    group = declared_group(field.related_model)
    aliases = schemes[group].shards if group in settings.SHARDING else (None,)
    parent = None if value is None else row_anywhere(field, value, aliases)
    if parent is None:
        return False
    field.set_cached_value(instance, parent)
    return True


# What Django tells of a query.


def primary_of(model: type[Model], group: str, instance: Any, *, for_write: bool) -> str:
    """Return the primary for a query about which Django tells only the model and a related instance."""
    scheme = schemes[group]
    if scheme.spreads_itself:
        return scheme.shards[0]
    alias = _primary_by_relation(model, group, instance) or primary_of_context(group)
    if alias is not None:
        return alias
    is_related = instance is not None and not isinstance(instance, model)
    is_open = for_write and instance is None and SHARDS.get().get(group) == ANY
    if is_open or (is_related and _finds_shards(model, for_write)):
        connections[scheme.shards[0]]  # so that none is ever made for a name that is only like it
        return AnyShard(scheme.shards[0])
    raise required(model)


def _finds_shards(model: type[Model], for_write: bool) -> bool:
    """Return whether the querysets of a model find their shard themselves, or the row does when it is saved."""
    return for_write or hasattr(model, "sharded_base")


def _primary_by_relation(model: type[Model], group: str, instance: Any) -> str | None:
    if instance is None or not hasattr(instance, "_meta"):
        return None
    if group_of(type(instance)) == group:
        return primary_of_instance(instance, group)
    key: Any = declaration_of(model).own_key
    other = instance._meta.concrete_model
    related = [field for field in model._meta.concrete_fields if field.related_model is other]
    if related != [key]:  # of a follower and a followee, Django does not tell which is meant
        return None
    value = getattr(instance, key.target_field.attname)
    return None if value is None else schemes[group].shard_for(value)


def required(model: type[Model]) -> ShardKeyRequired:
    return key_required(model, declared_key(model), declared_group(model))
