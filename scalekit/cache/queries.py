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
from django.core.exceptions import EmptyResultSet
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


_NOTHING = Reading((), frozenset())


def reading_of(queryset: Any) -> Reading:
    """Compile a queryset once. Raises EmptyResultSet, and what `CachedQuerySet.cached` raises."""
    return _reading(queryset, ())


def _reading(queryset: Any, above: tuple[Any, ...]) -> Reading:
    """Do as `reading_of` does, inside the prefetches of the managers `above`."""
    query, alias = queryset.query, queryset.db
    if query.select_for_update:
        raise UncacheableFunction(
            "A query with select_for_update() locks its rows: it cannot be cached."
        )
    sql, params = query.get_compiler(using=alias).as_sql()
    lookups = queryset._prefetch_related_lookups
    prefetched = [_prefetched(queryset.model, lookup, alias, above) for lookup in lookups]
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


def _prefetched(model: type[Model], lookup: Any, alias: str, above: tuple[Any, ...]) -> Reading:
    if not isinstance(lookup, Prefetch):
        place: tuple[Any, ...] = (str(lookup),)
        parts = list(_steps(model, str(lookup), alias, above))
    else:
        place = lookup.prefetch_through, lookup.prefetch_to
        parts = list(_steps(model, lookup.prefetch_through, alias, above, lookup.queryset))
    return Reading(
        (*place, *(part.place for part in parts)),
        frozenset().union(*(part.models for part in parts)),
    )


def _steps(
    model: type[Model],
    path: str,
    alias: str,
    above: tuple[Any, ...],
    last: Any = None,
) -> Iterator[Reading]:
    """Yield what each step of a prefetch reads, the `last` by a queryset of its own, if there is one.

    Raises `UncacheableFunction` where it cannot be told.
    """
    steps = path.split("__")
    for position, part in enumerate(steps, 1):
        relation = _relations(model).get(part)
        related = getattr(relation, "related_model", None)
        if not isinstance(related, type):
            msg = (
                f"prefetch_related({path!r}): it cannot be told which tables {part!r} of {model.__name__} reads."
                " Put the query into a function with @cached(depends_on=[...])."
            )
            raise UncacheableFunction(msg)
        yield Reading((), frozenset({related, *_through(relation)}))
        if last is not None and position == len(steps):
            yield _inner(last, above)
        else:
            yield _managed(relation, alias, above)
        model = related


def _through(relation: Any) -> Iterator[type[Model]]:
    through = getattr(getattr(relation, "remote_field", None), "through", None)
    through = through or getattr(relation, "through", None)
    if through is not None:
        yield through._meta.auto_created or through


def _managed(relation: Any, alias: str, above: tuple[Any, ...]) -> Reading:
    """Return what Django reads by a manager of the related model, which may join, filter and prefetch.

    By the class of the default one for many objects, by the base one for a single object
    (https://docs.djangoproject.com/en/stable/topics/db/managers/#default-managers).
    """
    related = relation.related_model
    if relation.one_to_many or relation.many_to_many:
        manager = type(related._default_manager)()
        manager.model = related
    else:
        manager = related._base_manager
    if (type(manager), related) in above:  # two that prefetch each other: what they read is told
        return _NOTHING
    queryset = manager.get_queryset()
    # By the alias of the whole, since a router would have to be asked with an instance that is not there yet.
    return _inner(queryset.using(queryset._db or alias), (*above, (type(manager), related)))


def _inner(queryset: Any, above: tuple[Any, ...]) -> Reading:
    try:
        return _reading(queryset, above)
    except EmptyResultSet:  # of this prefetch alone
        return _NOTHING


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
