"""The tables of a group as they are copied: parents first, each row with its shard key in front."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.constants import LOOKUP_SEP

from scalekit.db.sharding.declarations import declared_group, key_path, pointed_at
from scalekit.db.sharding.group_models import models_of
from scalekit.db.sharding.lookup_index.claiming import lookup_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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

    @property
    def has_lookups(self) -> bool:
        return bool(lookup_fields(self.model))

    def hanging_on(self, alias: str, changed: Mapping[str, Collection[str]]) -> set[str]:
        """Return the ids, as texts, of rows that have their key from one of the rows that are changed."""
        name, _, rest = self.key.partition(LOOKUP_SEP)
        parent: Any = self.model._meta.get_field(name).related_model if rest else None
        ids = changed.get(parent._meta.db_table) if rest else None
        if not ids:
            return set()
        rows = self.rows(alias).filter(
            **{f"{name}__pk__in": [parent._meta.pk.to_python(i) for i in ids]}
        )
        return set(map(str, rows.order_by().values_list("pk", flat=True)))

    def id_of(self, text: str) -> Any:
        """Return the id that a text of the database names."""
        return self.model._meta.pk.to_python(text)

    def slot_of(self, text: str) -> int | None:
        """Return the slot that an id names, None for one from before that names none."""
        pk: Any = pointed_at(self.model._meta.pk)
        return pk.slot_of(pk.to_python(text)) if hasattr(pk, "slot_of") else None


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
