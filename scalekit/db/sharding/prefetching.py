"""Prefetch for rows of several shards: each query goes to those that may have what hangs on the rows.

Django prefetches one relation after the other, for all rows at once. Rows of one group that hang on each
other lie on the same shard, so the shards to ask are those the rows came from, and those that earlier
queries of the same prefetch came to.
"""
# ruff: noqa: SLF001 - _state is Django's documented API

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db.models.lookups import In

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.sharding.declarations import declaration_of, group_of
from scalekit.db.sharding.lookups import and_lookups, compared, is_prefetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models.sql.query import Query

    from scalekit.db.sharding.lookups import Named

# Group -> the shards whose rows are being prefetched for; None outside.
_reached: ContextVar[dict[str, set[str]] | None] = ContextVar("scalekit_prefetch", default=None)


@contextmanager
def prefetching_for(rows: Iterable[Any], group: str) -> Iterator[None]:
    """Let queries for what hangs on `rows` go to the shards these came from."""
    owner = current_cluster().owner
    came_from = {owner.get(row._state.db, "") for row in rows if hasattr(row, "_state")}
    before = _reached.get()
    _reached.set({group: came_from & set(schemes[group].shards)})
    try:
        yield
    finally:
        _reached.set(before)


def prefetch_shards(
    query: Query, group: str, hints: dict[str, Any], named: Named | None
) -> list[str] | None:
    """Return the shards to ask for a prefetch over a list of rows, in order; None if the query is no prefetch."""
    instance = hints.get("instance")
    if instance is None or not is_prefetch(query, instance):
        return None
    all_shards, reached = schemes[group].shards, _reached.get()
    if named is not None:
        shards = set(named.shards)
    elif reached is not None and group_of(type(instance)) == group:
        shards = set(reached.get(group) or all_shards)
    else:
        shards = set(all_shards)
    if reached is not None:
        reached.setdefault(group, set()).update(shards)
    return [alias for alias in all_shards if alias in shards]


def is_spread(query: Query, instance: Any) -> bool:
    """Return whether what hangs on one unsharded row may lie on several shards: it is not that row's key."""
    key = declaration_of(query.model).own_key
    if key is None or key.related_model is not instance._meta.concrete_model:
        return True
    return not any(isinstance(x, In) and compared(x) == key for x in and_lookups(query.where))
