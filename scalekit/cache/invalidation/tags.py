"""End values by the tags they carry, or by the models and rows that they depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from scalekit.cache.invalidation.base import invalidate
from scalekit.cache.invalidation.models import dependency, names_of_rows
from scalekit.cache.invalidation.naming import on_server, tag_name
from scalekit.cache.invalidation.watched import watched

if TYPE_CHECKING:
    from collections.abc import Iterable


def invalidate_tags(*tags: str) -> None:
    """End every value that carries one of `tags`: on commit in a transaction, else at once.

    However many values there are, it is one write to each cache of SCALEKIT_CACHE_ALIASES. Raises
    `UncacheableArgument` for a tag that is no string.
    """
    _end(map(tag_name, tags))


def invalidate_models(*models_or_instances: Any) -> None:
    """End every value that depends on the models, instances or (model, pk) pairs.

    For what Django does not see: another program's writes, procedures and functions, triggers. Within a
    transaction on commit. Raises `UncacheableArgument`.
    """
    found = map(dependency, models_or_instances)
    _end(
        name
        for item in found
        for name in names_of_rows(item.model, None if item.pk is None else (item.pk,))
    )


async def ainvalidate_tags(*tags: str) -> None:
    """Do as `invalidate_tags` does."""
    await sync_to_async(invalidate_tags)(*tags)


async def ainvalidate_models(*models_or_instances: Any) -> None:
    """Do as `invalidate_models` does."""
    await sync_to_async(invalidate_models)(*models_or_instances)


def _end(names: Iterable[str]) -> None:
    names = list(names)
    for alias in watched.aliases() if names else ():
        invalidate(alias, on_server(alias, names))
