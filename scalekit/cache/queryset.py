"""Querysets whose rows may be kept, one query at a time, where the code asks for it.

    class Photo(models.Model):
        objects = CachedQuerySet.as_manager()

    Photo.objects.filter(public=True).select_related("owner").cached(60)     # a list
    await Photo.objects.filter(public=True).acached(60)

It ends with any write to a table that the query reads, joined, in subqueries or prefetched. Only `cached`
asks the cache: all else that a queryset does stays a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, QuerySet

from scalekit.cache.announced import require_announced
from scalekit.cache.decorators import cached
from scalekit.cache.queries import reading_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Asked:
    """A queryset that is asked for its rows, and what ends them."""

    queryset: Any
    tags: tuple[str, ...]
    depends_on: tuple[Any, ...]


class CachedQuerySet(QuerySet[M]):
    """A queryset with `cached` and `acached`; use it as ``objects = CachedQuerySet.as_manager()``."""

    def cached(
        self,
        ttl: float | timedelta | None = 300,
        *,
        tags: Iterable[str] = (),
        depends_on: Iterable[Any] = (),
        **options: Any,
    ) -> list[Any]:
        """Return the rows as a list of the caller's own: kept ones, or those that are then kept.

        `depends_on` names what the SQL does not show: the tables behind a view or a function. All other
        options are those of `scalekit.cache.cached`. Raises `UncacheableArgument` for a parameter, and
        `UncacheableFunction` for a query, that cannot be kept, and `UnwatchedModel` for a model that is not in
        SCALEKIT_CACHE_MODELS.
        """
        queryset = self.all()
        try:
            reading = reading_of(queryset)
        except EmptyResultSet:
            return []
        asked = Asked(queryset, tuple(tags), (*reading.models, *depends_on))
        require_announced(_name(self.model), options.get("alias", "default"), asked.depends_on)
        ask = _kept(_rows, self.model, ttl, tuple(sorted(options.items())))
        return ask(reading.place, asked)  # type: ignore[no-any-return]  # rows, or what values() gives

    async def acached(
        self,
        ttl: float | timedelta | None = 300,
        *,
        tags: Iterable[str] = (),
        depends_on: Iterable[Any] = (),
        **options: Any,
    ) -> list[Any]:
        """Do as `cached` does."""
        queryset = self.all()
        try:
            reading = reading_of(queryset)
        except EmptyResultSet:
            return []
        asked = Asked(queryset, tuple(tags), (*reading.models, *depends_on))
        require_announced(_name(self.model), options.get("alias", "default"), asked.depends_on)
        ask = _kept(_arows, self.model, ttl, tuple(sorted(options.items())))
        return await ask(reading.place, asked)  # type: ignore[no-any-return]


def _rows(_: object, asked: Asked) -> list[Any]:
    return list(asked.queryset)


def _name(model: type[Model]) -> str:
    return f"{model.__module__}.{model.__qualname__}.cached"


async def _arows(_: object, asked: Asked) -> list[Any]:
    return [row async for row in asked.queryset]


@lru_cache(maxsize=1024)
def _kept(
    rows: Any,
    model: type[Model],
    ttl: float | timedelta | None,
    options: tuple[tuple[str, Any], ...],
) -> Any:
    """Return the cached function of a model's queries, under the model's name in metrics and keys."""
    named = FunctionType(rows.__code__, rows.__globals__)
    named.__module__, named.__qualname__ = model.__module__, f"{model.__qualname__}.cached"
    return cached(
        ttl,
        key=lambda place, _: place,
        tags=lambda _, asked: asked.tags,
        depends_on=lambda _, asked: asked.depends_on,
        **dict(options),
    )(named)
