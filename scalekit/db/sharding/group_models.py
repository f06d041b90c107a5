"""The models of a shard group, in an order in which their tables can be made and filled."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps

from scalekit.db.sharding.declarations import declared_group

if TYPE_CHECKING:
    from django.db.models import Model


def models_of(group: str) -> list[type[Model]]:
    """Return the models of a group whose tables Django manages, those that others refer to first."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if declared_group(model) == group and model._meta.managed and not model._meta.proxy
    ]
    ordered: list[type[Model]] = []
    for model in found:
        _place(model, found, ordered, set())
    return ordered


def _place(
    model: type[Model], found: list[type[Model]], ordered: list[type[Model]], above: set[Any]
) -> None:
    if model in ordered or model in above:
        return
    for field in model._meta.local_fields:
        if field.related_model in found:
            _place(field.related_model, found, ordered, above | {model})
    ordered.append(model)
