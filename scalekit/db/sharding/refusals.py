"""What a sharded model refuses, and what to write instead."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from scalekit.db.conf import settings
from scalekit.db.exceptions import (
    CrossShardQuery,
    CrossShardRelation,
    SeveralShards,
    ShardGroupUnknown,
    ShardKeyRequired,
    WrongShard,
)

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


def group_unknown(group: str) -> ShardGroupUnknown:
    close = get_close_matches(str(group), settings.SHARDING, n=1)
    hint = (
        f"Did you mean {close[0]!r}?" if close else "Write the shard_group of the models you ask."
    )
    msg = f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {', '.join(settings.SHARDING) or 'none'}. {hint}"
    return ShardGroupUnknown(msg)


def apart(one: Model, other: Model, homes: tuple[Any, Any]) -> CrossShardRelation:
    names = f"{type(one).__name__} {one.pk}", f"{type(other).__name__} {other.pk}"
    msg = (
        f"{names[0]} ({homes[0]}) and {names[1]} ({homes[1]}) cannot be related: what is not of one group and key "
        "lies on different shards, today or once it is moved. Give both the same shard key; or keep the other row's id in a column that is no "
        "foreign key and read that row by a query of its own."
    )
    return CrossShardRelation(msg)


def several_shards(model: type[Model], shards: list[str]) -> SeveralShards:
    msg = (
        f"This query on {model.__name__} names rows of several shards ({', '.join(shards)}). Ask them "
        f"all with .scatter(), as in {model.__name__}.objects.scatter().filter(...), or one key at a time."
    )
    return SeveralShards(msg)


def limited_over_shards(model: type[Model]) -> CrossShardQuery:
    msg = (
        f"A Prefetch() of the first few {model.__name__} rows cannot be answered where those of one row lie on "
        "several shards. Prefetch them all, or ask for each row's with .scatter()[:n]."
    )
    return CrossShardQuery(msg)


def key_is_fixed(model: type[Model], key: str | None) -> WrongShard:
    msg = (
        f"{model.__name__}.{key} cannot be changed: it says where the row lies. Create the row "
        "anew under the new key and delete the old one."
    )
    return WrongShard(msg)


def key_differs(model: type[Model], field: str) -> WrongShard:
    msg = (
        f"Rows of {model.__name__} cannot be given a {field} of another shard key than theirs, on the same shard or not: "
        "keys move apart. Create the rows anew beside that row and delete the old ones."
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


def join_elsewhere(model: Any, other: Any) -> CrossShardQuery:
    one, two = model.__name__, other.__name__
    msg = (
        f"A query on {one} cannot join {two}, whose rows live on another database. Read them by queries of "
        f"their own: prefetch_related() in place of select_related(), or ids first, as in "
        f"filter(..._id__in=list({two}.objects.filter(...).values_list('pk', flat=True))). To join them for good: "
        f"copy the columns needed to {one}; let {two} share its shard group and key; or make it a ReferenceModel."
    )
    return CrossShardQuery(msg)


def join_from_outside(model: Any, other: Any) -> CrossShardQuery:
    one, two = model.__name__, other.__name__
    msg = (
        f"A query on {one} cannot join {two}, whose rows are spread over shards. Ask {two} first, as in "
        f"{one}.objects.filter(pk__in=list({two}.objects.scatter().filter(...).values_list(..., flat=True))); or keep "
        f"what you filter by in a column of {one}."
    )
    return CrossShardQuery(msg)


def join_back_from_reference(model: Any, reference: Any, other: Any) -> CrossShardQuery:
    one, two = model.__name__, other.__name__
    msg = (
        f"A query on {one} cannot join {two} by way of {reference.__name__}: each shard has all rows of the latter, but of "
        f"{two} its own alone, so those of other shards would be missing. Ask {two}.objects.scatter() first and "
        f"filter {one} by the ids it gives."
    )
    return CrossShardQuery(msg)


def union_elsewhere(model: Any, other: Any) -> CrossShardQuery:
    one = "an unsharded model" if model is None else model.__name__
    msg = (
        f"A query on {one} cannot be combined with one on {other.__name__}, whose rows live on another database. "
        "Evaluate both and combine the lists, as in [*one, *other]."
    )
    return CrossShardQuery(msg)


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
