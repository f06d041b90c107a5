"""What a sharded model refuses, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.db.exceptions import CrossShardQuery, SeveralShards, ShardKeyRequired, WrongShard

if TYPE_CHECKING:
    from django.db.models import Model


def key_required(model: type[Model], key: str | None, group: str | None) -> ShardKeyRequired:
    key, name = key or "pk", model.__name__
    msg = (
        f"This query on {name} names no shard. Add the shard key, {name}.objects.filter({key}=...), or "
        f"the id, {name}.objects.get(pk=...); enter using_shard({group!r}, ...); or ask "
        f"all shards with {name}.objects.scatter()."
    )
    return ShardKeyRequired(msg)


def several_shards(model: type[Model], shards: list[str]) -> SeveralShards:
    msg = (
        f"This query on {model.__name__} names rows of several shards ({', '.join(shards)}). Ask them "
        f"all with .scatter(), as in {model.__name__}.objects.scatter().filter(...), or one key at a time."
    )
    return SeveralShards(msg)


def key_is_fixed(model: type[Model], key: str | None) -> WrongShard:
    msg = (
        f"{model.__name__}.{key} cannot be changed: it says where the row lies. Create the row "
        "anew under the new key and delete the old one."
    )
    return WrongShard(msg)


def torn_apart(instance: Model, slots: dict[str, int]) -> WrongShard:
    named = ", ".join(f"{name} names slot {slot}" for name, slot in slots.items())
    msg = (
        f"{type(instance).__name__} {instance.pk} would be torn apart: {named}. Rows that belong "
        "together carry the same shard key, and a key does not change: create the row anew under "
        "the new key and delete the old one."
    )
    return WrongShard(msg)


def away_from_home(instance: Model, home: str, alias: str) -> WrongShard:
    msg = (
        f"{type(instance).__name__} {instance.pk} belongs on {home} by its key, not on {alias}, where nobody "
        "would find it. Leave out using; and to give a stored row another key, create it anew under the "
        "new key and delete the old one."
    )
    return WrongShard(msg)


def subquery_elsewhere(outer: Any, inner: Any) -> CrossShardQuery:
    msg = (
        f"A query on {outer.__name__} cannot hold a subquery on {inner.__name__}, whose rows live on other "
        "databases. Evaluate the inner one first, as in filter(pk__in=list(inner.values_list(...)))."
    )
    return CrossShardQuery(msg)


def subquery_untied(outer: Any, inner: Any) -> CrossShardQuery:
    msg = (
        f"This query on {outer.__name__} holds a subquery on {inner.__name__} that may match rows of other shards, "
        "which the database could not see. Name the same shard key in both; tie them by the key or by an id, "
        "as in filter(order__in=inner.values('pk')) or Exists(inner.filter(order=OuterRef('pk'))); or "
        "evaluate the inner one first, as in filter(pk__in=list(inner.values_list(...)))."
    )
    return CrossShardQuery(msg)
