"""The order of a model can be kept by its shards."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)

from scalekit.db.exceptions import CrossShardQuery, ScatterUnsupported
from scalekit.db.sharding.joins import ShardedQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.db.sharding.models import ShardedModel


def faults_of_ordering(model: type[ShardedModel]) -> Iterator[CheckMessage]:
    """Find an order that every query would have to leave its shard for, or that shards cannot be merged by."""
    from scalekit.db.sharding.scatter.ordering import sorts_of

    if not model._meta.ordering:
        return
    try:
        ShardedQuery(model).add_ordering(*model._meta.ordering)
        sorts_of(ShardedQuery(model))
    except CrossShardQuery as error:
        yield Error(
            f"{model.__name__}.Meta.ordering leads to another database. {error}",
            hint="Order by columns of the shard.",
            obj=model,
            id="scalekit.db.E040",
        )
    except ScatterUnsupported as error:
        yield Warning(
            f"{model.__name__}.Meta.ordering is refused by scatter(). {error}",
            hint="Order by columns, or call order_by() before scatter() is read.",
            obj=model,
            id="scalekit.db.W035",
        )
