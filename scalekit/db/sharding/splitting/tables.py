"""The tables of a group as they are copied: parents first, each row with its shard key in front."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.constants import LOOKUP_SEP

from scalekit.db.sharding.declarations import declared_group, key_path
from scalekit.db.sharding.group_models import models_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the group: its model, and how its rows name their shard key."""

    model: type[Model]
    key: str  # as `values()` takes it, through co-located rows perhaps
    columns: tuple[str, ...]  # all that can be written, in the model's order

    @property
    def name(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def pk(self) -> str:
        return str(self.model._meta.pk.column)

    def rows(self, alias: str) -> models.QuerySet[Any]:
        """Return the rows as (key, column, ...), in the order of their ids, on one database as it is."""
        fields = [f.attname for f in _written(self.model)]
        rows: models.QuerySet[Any] = models.QuerySet(self.model, using=alias).order_by("pk")
        return rows.values_list(self.key, *fields)

    def rows_with(self, alias: str, ids: Iterable[Any]) -> models.QuerySet[Any]:
        return self.rows(alias).filter(pk__in=list(ids))

    def id_of(self, text: str) -> Any:
        """Return the id that a text of the database names."""
        return self.model._meta.pk.to_python(text)


def tables_of(group: str) -> list[Table]:
    """Return the tables of a group, those that others refer to first."""
    return [
        Table(m, LOOKUP_SEP.join(_key(m)), tuple(f.column for f in _written(m)))
        for m in models_of(group)
    ]


def _written(model: type[Model]) -> list[Any]:
    return [f for f in model._meta.concrete_fields if not getattr(f, "generated", False)]


def _key(model: type[Model]) -> list[str]:
    """Return the names that lead to the shard key; a table of pairs goes by one of its rows."""
    path = key_path(model)
    if path:
        return [field.name for field in path[:-1]] + [path[-1].attname]
    group = declared_group(model)
    for field in model._meta.concrete_fields:
        if field.remote_field is not None and declared_group(field.related_model) == group:  # type: ignore[arg-type]  # a class by now
            return [field.name, *_key(field.related_model)]  # type: ignore[arg-type]  # as above
    return []  # the check scalekit.db.E013 says so
