"""What a model says of where its rows lie: its group, its shard key, and the columns that hold ids."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models.constants import LOOKUP_SEP

from scalekit.db.conf import schemes, settings

if TYPE_CHECKING:
    from django.db.models import Field, Model

KEY, ID = "key", "id"
MIGRATION = "__fake__"  # the module of a model inside a migration, which has fields alone


@dataclass(frozen=True, slots=True)
class Declaration:
    """Where the rows of a model lie, as far as the model says.

    `path` leads to the column that is the shard key: foreign keys to co-located rows, then the column.
    `ids` are the columns that hold a slot: the row's own id and those of co-located rows.
    """

    group: str | None = None
    path: tuple[Field[Any, Any], ...] = ()
    ids: tuple[Field[Any, Any], ...] = ()
    meanings: dict[str, str] = field(default_factory=dict)
    """What the value of a column says, `KEY` or `ID`, by the column's attribute."""

    @property
    def own_key(self) -> Field[Any, Any] | None:
        """The model's own column that is the key, None where the key is a co-located row's."""
        return self.path[0] if len(self.path) == 1 else None


@lru_cache(maxsize=1024)
def declaration_of(model: type[Model]) -> Declaration:
    """Return what a model declares; of one inside a migration, what the app's class or the id's field says."""
    group = declared_group(model)
    if group is None:
        return Declaration()
    path = key_path(model)
    if path and holds_id(path[-1]):
        path = ()  # a tree, whose rows lie where the id of their root says
    ids = tuple(f for f in model._meta.concrete_fields if _holds_slot(f, group))
    meanings = dict.fromkeys((column.attname for column in ids), ID)
    if len(path) == 1:
        meanings[path[0].attname] = KEY
    return Declaration(group, path, ids, meanings)


def declared_group(model: type[Model]) -> str | None:
    """Return the shard group a model was written for, also of a model inside a migration."""
    group = _declared(model, "shard_group")
    if group:
        return str(group)
    through = _pairs_of(model)
    if through:
        return declared_group(through)
    return getattr(_id_of(model), "shard_group", None)


def declared_key(model: type[Model]) -> str | None:
    """Return the name of the shard key of a model, a path perhaps, also of a model inside a migration."""
    key = _declared(model, "shard_key")
    if key:
        return str(key)
    return getattr(_id_of(model), "shard_key", None)


def group_of(model: type[Model]) -> str | None:
    """Return the shard group of a model; None while that is not configured, or its rows still lie unsharded."""
    group = configured_group(model)
    if group is not None and (scheme := schemes[group]).starts_on and not scheme.map.live:
        return None
    return group


def configured_group(model: type[Model]) -> str | None:
    """Return the shard group of a model, wherever its rows lie yet; None while it is not configured."""
    sharding = settings.SHARDING
    if not sharding:
        return None
    group = declaration_of(model).group
    return group if group in sharding else None


def is_reference(model: type[Model]) -> bool:
    """Return whether every shard has the rows of a model, so that sharded queries may join it."""
    return _declared(_pairs_of(model) or model, "shard_reference") is True


def group_of_app(app_label: str, group: str) -> bool:
    """Return whether an app has a model in a shard group."""
    models = apps.get_app_config(app_label).get_models()
    return any(declared_group(model) == group for model in models)


def is_group(group: str) -> bool:
    """Return whether a shard group is configured, or a model was written for it."""
    return group in settings.SHARDING or any(
        declared_group(model) == group for model in apps.get_models()
    )


def holds_id(field: Field[Any, Any]) -> bool:
    """Return whether a field is an id with a slot or a foreign key to one, directly or through others."""
    return hasattr(pointed_at(field), "slot_of")


def pointed_at(field: Any) -> Any:
    """Return the column of which a foreign key holds the value, through all others; else the field itself."""
    while field.remote_field is not None:
        field = field.target_field
    return field


def key_path(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    """Return the fields that lead to the shard key; none where `shard_key` names no column (a system check)."""
    group, at = declared_group(model), model
    fields: list[Any] = []
    try:
        for name in (declared_key(model) or "").split(LOOKUP_SEP):
            fields.append(at._meta.get_field(name))
            at = fields[-1].related_model
        while fields[-1].remote_field is not None and declared_group(at) == group:
            # The key is a co-located row, so that row's own key decides, and not the text of its id.
            own = at._meta.get_field((declared_key(at) or "").split(LOOKUP_SEP)[0])
            if own in fields:
                break
            fields.append(own)
            at = own.related_model  # type: ignore[assignment]  # a class by now
    except (FieldDoesNotExist, AttributeError):
        return ()
    return tuple(fields)


def _declared(model: type[Model], name: str) -> Any:
    found = getattr(model, name, None)
    if found is None and model.__module__ == MIGRATION:
        return getattr(_of_the_app(model), name, None)
    return found


# Routers are also asked about what is no model: the cache in the database has a class with a few names alone.


def _pairs_of(model: type[Model]) -> type[Model] | None:
    """Return the class whose many-to-many field made this one."""
    return getattr(model._meta, "auto_created", None) or None  # a class, or False


def _id_of(model: type[Model]) -> Field[Any, Any] | None:
    return getattr(model._meta, "pk", None)


def _of_the_app(model: type[Model]) -> type[Model] | None:
    try:
        return apps.get_model(model._meta.app_label, model._meta.model_name)
    except LookupError:
        return None  # gone since


def _holds_slot(field: Field[Any, Any], group: str) -> bool:
    if not holds_id(field):
        return False
    return field.primary_key or declared_group(field.related_model) == group  # type: ignore[arg-type]  # a class by now
