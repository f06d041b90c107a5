"""Which column distributes a table: Citus co-locates rows by equal values of one column each."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist

from scalekit.db.sharding.declarations import declared_group, declared_key
from scalekit.db.sharding.group_models import models_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model


@dataclass(frozen=True, slots=True)
class Undistributable:
    """Why a model's table cannot be distributed, and what to write."""

    model: type[Model]
    text: str
    hint: str


def column_of(model: type[Model]) -> Any:
    """Return the field whose column holds the shard key; an `Undistributable` where none does."""
    name = declared_key(model)
    try:
        field: Any = model._meta.get_field(name or "")
    except FieldDoesNotExist:
        return _without_column(model)
    target = field
    while target.remote_field is not None:
        if declared_group(target.related_model) != declared_group(model):
            break
        key = declared_key(target.related_model)
        target = target.target_field
        if key not in (target.name, target.attname):
            return _without_column(model)
    return field


def _without_column(model: type[Model]) -> Undistributable:
    name = model.__name__
    through: Any = model._meta.auto_created
    if through:
        return Undistributable(
            model,
            f"The table of pairs {model._meta.db_table} has no column with the shard key.",
            f"Write a model for the pairs of {through.__name__} (through=...) that has one.",
        )
    return Undistributable(
        model,
        f"{name} has no column of its own with the shard key, and Citus co-locates rows by equal values.",
        f"Add one to {name}, such as owner_id, and name it in shard_key.",
    )


def faults_of_group(group: str, connection: Any) -> Iterator[Undistributable]:
    """Find the models of a group that Citus could not keep together."""
    types: dict[str, type[Model]] = {}
    for model in models_of(group):
        column = column_of(model)
        if isinstance(column, Undistributable):
            yield column
            continue
        kind = column.db_type(connection)
        types.setdefault(kind, model)
        first_kind, first = next(iter(types.items()))
        if kind != first_kind:
            yield Undistributable(
                model,
                f"{model.__name__}.{column.name} is {kind}, and the key of {first.__name__} is {first_kind}: "
                "Citus would hash one value to two places.",
                "Give the shard key the same type in every model of the group.",
            )
