"""What the rows of a query depend on: its SQL, its parameters, its database, and the tables it reads."""

# ruff: noqa: SLF001 - Django keeps there what a queryset is made of

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import Model, Prefetch

from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction
from scalekit.cache.functions import home_of
from scalekit.cache.invalidation.statements import bare
from scalekit.cache.keys import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r'"([^"]+)"|`([^`]+)`|([^\W\d]\w*)')
_EXACT: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, bool),
    (int, int),
    (float, float),
    (str, str.__str__),
    (bytes, bytes),
)
_KNOWN = (type(None), Decimal, UUID, date, datetime, time, timedelta)


@dataclass(frozen=True, slots=True)
class Reading:
    """A query as the cache sees it: what tells it from all others, and the models whose writes end its rows."""

    place: tuple[Any, ...]
    models: frozenset[type[Model]]


def reading_of(queryset: Any) -> Reading:
    """Compile a queryset once. Raises EmptyResultSet, and what `CachedQuerySet.cached` raises."""
    query, alias = queryset.query, queryset.db
    if query.select_for_update:
        raise UncacheableFunction(
            "A query with select_for_update() locks its rows: it cannot be cached."
        )
    sql, params = query.get_compiler(using=alias).as_sql()
    lookups = queryset._prefetch_related_lookups
    prefetched = [_prefetched(queryset.model, lookup) for lookup in lookups]
    place = (
        queryset.model._meta.label_lower,
        home_of(alias),
        sql,
        tuple(map(_param, params)),
        path_of(queryset._iterable_class),
        tuple(map(str, queryset._fields or ())),
        tuple(map(_annotated, query.annotation_select.items())),
        tuple(part.place for part in prefetched),
    )
    models = _models_in(sql).union({queryset.model}, *(part.models for part in prefetched))
    return Reading(place, models)


@lru_cache(maxsize=1024)
def _models_in(sql: str) -> frozenset[type[Model]]:
    """Return the models of every table whose name stands in the SQL: too many in doubt, never too few."""
    by_table = _models_by_table()
    names = {bare("".join(match)) for match in _NAME.findall(sql)}
    return frozenset(by_table[name] for name in names & by_table.keys())


def _param(value: Any) -> Any:
    """Return a parameter as plain data: drivers wrap numbers, JSON and ranges in types of their own."""
    for kind, plain in _EXACT:
        if isinstance(value, kind):
            return plain(value)
    if type(value) in _KNOWN:
        return value
    if isinstance(value, (list, tuple)):
        return [_param(item) for item in value]
    if isinstance(value, dict):
        return {_param(key): _param(item) for key, item in value.items()}
    if hasattr(value, "obj"):  # psycopg's Json and Jsonb
        return path_of(type(value)), _param(value.obj)
    if hasattr(value, "lower") and hasattr(value, "bounds"):  # its ranges
        return path_of(type(value)), _param(value.lower), _param(value.upper), value.bounds
    msg = (
        f"A parameter of the query is of type {path_of(type(value))}, which cannot be part of a cache key:"
        " put the query into a function with @cached(key=...)."
    )
    raise UncacheableArgument(msg)


def _annotated(annotation: tuple[str, Any]) -> tuple[str, str]:
    """Return name and type of an annotation: the same SQL may be read as two."""
    name, expression = annotation
    return name, path_of(type(getattr(expression, "_output_field_or_none", None)))


def _prefetched(model: type[Model], lookup: Any) -> Reading:
    if not isinstance(lookup, Prefetch):
        return Reading((str(lookup),), frozenset(_models_on(model, str(lookup))))
    inner = None if lookup.queryset is None else reading_of(lookup.queryset)
    place = lookup.prefetch_through, lookup.prefetch_to, inner and inner.place
    models = frozenset(_models_on(model, lookup.prefetch_through))
    return Reading(place, models if inner is None else models | inner.models)


def _models_on(model: type[Model], path: str) -> Iterator[type[Model]]:
    """Yield the models on the way of a prefetch. Raises `UncacheableFunction` where it cannot be told."""
    for part in path.split("__"):
        relation = _relations(model).get(part)
        related = getattr(relation, "related_model", None)
        if not isinstance(related, type):
            msg = (
                f"prefetch_related({path!r}): it cannot be told which tables {part!r} of {model.__name__} reads."
                " Put the query into a function with @cached(depends_on=[...])."
            )
            raise UncacheableFunction(msg)
        through = getattr(getattr(relation, "remote_field", None), "through", None)
        through = through or getattr(relation, "through", None)
        if through is not None:
            yield through._meta.auto_created or through
        yield related
        model = related


def _relations(model: type[Model]) -> dict[str, Any]:
    """Return a model's relations by the names that its instances have them under."""
    relations: dict[str, Any] = {f.name: f for f in model._meta.get_fields() if f.is_relation}
    for reverse in model._meta.related_objects:
        relations[str(reverse.get_accessor_name())] = reverse
    return relations


@cache
def _models_by_table() -> dict[str, type[Model]]:
    """Return the model behind each table; of a many-to-many relation's, the one that declares it."""
    found: dict[str, Any] = {}
    for model in apps.get_models(include_auto_created=True):
        found.setdefault(bare(model._meta.db_table), model._meta.auto_created or model)
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "INSTALLED_APPS":
        _models_by_table.cache_clear()
        _models_in.cache_clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.cache.queries")
