"""Querysets whose rows may be kept, one query at a time, where the code asks for it.

    class Photo(models.Model):
        objects = CachedQuerySet.as_manager()

    Photo.objects.filter(public=True).select_related("owner").cached(60)     # a list
    await Photo.objects.filter(public=True).acached(60)

It ends with any write to a table that the query reads, joined, in subqueries or prefetched. Only `cached`
asks the cache: all else that a queryset does stays a query.
"""

# ruff: noqa: SLF001 - Django keeps there what a queryset is made of

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, Prefetch, QuerySet

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
        queryset = _orphaned(self)
        try:
            reading = reading_of(queryset)
        except EmptyResultSet:
            return []
        asked = Asked(queryset, tuple(tags), (*reading.models, *depends_on))
        require_announced(_name(self.model), options.get("alias", "default"), asked.depends_on)
        ask = _kept(_rows, self.model, ttl, tuple(sorted(options.items())))
        return _adopted(ask(reading.place, asked), self)

    async def acached(
        self,
        ttl: float | timedelta | None = 300,
        *,
        tags: Iterable[str] = (),
        depends_on: Iterable[Any] = (),
        **options: Any,
    ) -> list[Any]:
        """Do as `cached` does."""
        queryset = _orphaned(self)
        try:
            reading = reading_of(queryset)
        except EmptyResultSet:
            return []
        asked = Asked(queryset, tuple(tags), (*reading.models, *depends_on))
        require_announced(_name(self.model), options.get("alias", "default"), asked.depends_on)
        ask = _kept(_arows, self.model, ttl, tuple(sorted(options.items())))
        return _adopted(await ask(reading.place, asked), self)


def _orphaned(queryset: Any) -> Any:
    """Return a copy whose rows do not hold the objects that it was asked through, such as `user` in user.photos.

    Those belong to the caller: kept with the rows they would be pickled, with all they have loaded, and shown
    to others after they have changed. Where to read is still told by them, as a router's hint.
    """
    orphaned = queryset.all()
    orphaned._known_related_objects = {}
    orphaned._prefetch_related_lookups = tuple(
        map(_orphaned_lookup, orphaned._prefetch_related_lookups)
    )
    return orphaned


def _orphaned_lookup(lookup: Any) -> Any:
    if not isinstance(lookup, Prefetch) or lookup.queryset is None:
        return lookup
    orphaned = copy(lookup)
    orphaned.queryset = _orphaned(lookup.queryset)
    return orphaned


def _adopted(rows: list[Any], queryset: Any) -> list[Any]:
    """Give the rows the caller's own objects, where Django's ModelIterable would have given them."""
    for field, objects in queryset._known_related_objects.items():
        names = [local.attname for local in field.local_related_fields]
        for row in rows:
            if not isinstance(row, Model) or field.is_cached(row):
                continue
            if all(name in row.__dict__ for name in names):  # deferred ones would be asked for
                values = field.get_local_related_value(row)
                found = objects.get(values if len(names) > 1 else values[0])
                if found is not None:
                    setattr(row, field.name, found)
    return rows


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
