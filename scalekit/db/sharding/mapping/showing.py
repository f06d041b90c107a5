"""A slot map in numbers and words, for whoever looks at it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count

from scalekit.db.sharding.mapping.models import ShardMapKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scalekit.db.sharding.base import ShardingScheme


def described(scheme: ShardingScheme) -> dict[str, Any]:
    """Return what the map of a group says: its version, and for each shard its slots and keys."""
    found = scheme.map
    keys = _keys(scheme) if found.version else {}
    slots = Counter(found.assignments)
    total = sum((slots or keys).values()) or 1
    shards = {
        alias: {
            "slots": slots[alias],
            "share": round((slots or keys).get(alias, 0) / total, 4),
            "keys": keys.get(alias, 0),
            "ranges": spans(i for i, owner in enumerate(found.assignments) if owner == alias),
        }
        for alias in scheme.shards
    }
    return {
        "group": scheme.alias,
        "scheme": type(scheme).__name__,
        "version": found.version,
        "live": found.live,
        "boundaries": list(found.boundaries),
        "shards": shards,
    }


def spans(numbers: Iterable[int]) -> str:
    """Return sorted numbers as ``"0-99,200"``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _keys(scheme: ShardingScheme) -> dict[str, int]:
    rows = ShardMapKey.objects.using(DEFAULT_DB_ALIAS).filter(group=scheme.alias)
    return dict(rows.values_list("shard").annotate(Count("pk")))
