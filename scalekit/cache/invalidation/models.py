"""Models as what values depend on: the names of a model or row, and which models a table's write concerns."""

# ruff: noqa: SLF001 - Django keeps a model's options there

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model

from scalekit.cache.exceptions import UncacheableArgument
from scalekit.cache.invalidation.naming import model_name, row_name, rows_name
from scalekit.cache.invalidation.statements import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.models import Field

# The kinds of primary keys whose values look the same in a statement as in Python, or are read back by to_python().
_PLAIN_KEYS = frozenset(
    {
        "AutoField",
        "BigAutoField",
        "SmallAutoField",
        "IntegerField",
        "BigIntegerField",
        "SmallIntegerField",
    }
    | {"PositiveIntegerField", "PositiveBigIntegerField", "PositiveSmallIntegerField"}
    | {"CharField", "SlugField", "TextField", "UUIDField", "DecimalField"}
)
_REMEMBERED = {int, str, UUID}


class Target(NamedTuple):
    """A model whose rows are told by `column` of some table; None where that table does not tell them."""

    model: type[Model]
    column: str | None


class Dependency(NamedTuple):
    """What one item of `depends_on` means: a model, or one row of it."""

    model: type[Model]
    pk: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        label = label_of(self.model)
        if self.pk is None:
            return (model_name(label),)
        return (row_name(label, self.pk), rows_name(label))


@lru_cache(maxsize=8192, typed=True)
def row(model: type[Model], pk: Any) -> tuple[type[Model], tuple[str, ...]]:
    """Return the model and names of a row, remembered: they are asked for at every hit."""
    found = dependency((model, pk))
    return found.model, found.names


def names_of(item: Any) -> tuple[type[Model], tuple[str, ...]]:
    """Return the model that an item of `depends_on` means, and its names. Raises `UncacheableArgument`."""
    if type(item) is tuple and len(item) == 2 and type(item[1]) in _REMEMBERED:  # noqa: PLR2004 - a pair
        return row(*item)
    if isinstance(item, Model) and type(item.pk) in _REMEMBERED:
        return row(item.__class__, item.pk)  # and not type(): request.user is a lazy object
    found = dependency(item)
    return found.model, found.names


def dependency(item: Any) -> Dependency:
    """Return what a model, its label, an instance or a (model, pk) pair means. Raises `UncacheableArgument`."""
    if isinstance(item, str) and item.count(".") == 1:
        item = _model_called(item)
    if isinstance(item, type) and issubclass(item, Model) and not item._meta.abstract:
        return Dependency(_concrete(item))
    if isinstance(item, Model):
        item = (item.__class__, item.pk)
    if isinstance(item, tuple) and len(item) == 2:  # noqa: PLR2004 - a pair
        model, pk = item
        model = dependency(model).model
        return Dependency(model, _python_value(model, pk))
    msg = f"depends_on: {item!r} is no model, saved instance, or pair of model and primary key."
    raise UncacheableArgument(msg)


def label_of(model: type[Model]) -> str:
    return model._meta.label_lower


def _model_called(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except LookupError as error:
        raise UncacheableArgument(f"depends_on: {error}") from None


def _concrete(model: type[Model]) -> type[Model]:
    return model._meta.concrete_model or model


def _python_value(model: type[Model], pk: Any) -> Any:
    if isinstance(pk, Model):
        pk = pk.pk
    if pk is None:
        msg = f"depends_on: a {model.__name__} that is not saved yet has no row."
        raise UncacheableArgument(msg)
    try:
        return python_value(model, pk)
    except (ValidationError, ValueError, TypeError):
        raise UncacheableArgument(f"depends_on: {pk!r} is no {model.__name__}'s key.") from None


def python_value(model: type[Model], value: Any) -> Any:
    """Return a primary key, of Python or of a statement's parameters, as names are made of it."""
    return _last_target(model._meta.pk).to_python(value)


def names_of_rows(model: type[Model], values: Iterable[Any] | None) -> Iterator[str]:
    """Yield the names that end when these rows are written; None: rows that nobody can name."""
    label = label_of(model)
    yield model_name(label)
    if values is None or not _has_plain_key(model):
        yield rows_name(label)
        return
    for value in values:
        yield row_name(label, python_value(model, value))


def _has_plain_key(model: type[Model]) -> bool:
    field = _last_target(model._meta.pk)
    return field.get_internal_type() in _PLAIN_KEYS and not hasattr(field, "from_db_value")


def _last_target(field: Any) -> Field[Any, Any]:
    """Follow a primary key that is itself a reference to the field that holds its values."""
    while field.remote_field is not None and getattr(field, "target_field", None) is not None:
        field = field.target_field
    return field  # type: ignore[no-any-return]  # a field of the model


def targets_by_table(models: Iterable[type[Model]]) -> dict[str, tuple[Target, ...]]:
    """Return, for every table whose writes concern one of `models`, whom they concern."""
    found: defaultdict[str, dict[Target, None]] = defaultdict(dict)
    for model in models:
        for table, column in _tables_of(model):
            found[bare(table)][Target(model, column and column.casefold())] = None
    return {table: tuple(targets) for table, targets in found.items()}


def _tables_of(model: type[Model]) -> Iterator[tuple[str, str | None]]:
    """Yield a model's own table, those of its parents, and those of its many-to-many relations."""
    opts = model._meta
    yield opts.db_table, opts.pk.column
    for parent in opts.get_parent_list():
        if not parent._meta.proxy:
            yield parent._meta.db_table, _column_of_same_key(model, parent)
    for field in opts.many_to_many:
        own = field.m2m_column_name() if _refers_to_key(field) else None
        yield field.m2m_db_table(), own
    for other in _related_many_to_many(model):
        yield other.m2m_db_table(), _reverse_column(other)


def _related_many_to_many(model: type[Model]) -> Iterator[Any]:
    """Yield the many-to-many fields that lead to `model`, also hidden and symmetrical ones."""
    family = {model, *model._meta.get_parent_list()}
    for other in apps.get_models():
        for field in other._meta.local_many_to_many:
            if (
                getattr(field.related_model, "_meta", None)
                and _concrete(field.related_model) in family
            ):
                yield field


def _column_of_same_key(model: type[Model], parent: type[Model]) -> str | None:
    """Return the parent's key column, where the child's key is the same value."""
    field: Any = model._meta.pk
    while field.remote_field is not None and field.remote_field.parent_link:
        if field.remote_field.model._meta.concrete_model is parent:
            return str(parent._meta.pk.column)
        field = field.target_field
    return None


def _refers_to_key(field: Any) -> bool:
    return bool(field.model._meta.get_field(field.m2m_target_field_name()).primary_key)


def _reverse_column(field: Any) -> str | None:
    target = field.related_model._meta.get_field(field.m2m_reverse_target_field_name())
    return str(field.m2m_reverse_name()) if target.primary_key else None


def references(*, truncated: bool) -> dict[str, set[str]]:
    """Return, by table, those that the database itself writes when rows of it are deleted.

    Django 6.1 leaves ``on_delete=DB_CASCADE`` to the database; TRUNCATE ... CASCADE follows every reference.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            remote: Any = field.remote_field
            if remote is None or not hasattr(remote.model, "_meta"):
                continue
            if truncated or hasattr(remote.on_delete, "on_delete_sql"):
                found[bare(remote.model._meta.db_table)].add(bare(model._meta.db_table))
    return dict(found)


def reached(table: str, references: Mapping[str, set[str]]) -> set[str]:
    """Return the tables that lose rows with `table`, directly or by way of others."""
    found, waiting = {table}, [table]
    while waiting:
        fresh = references.get(waiting.pop(), set()) - found
        found |= fresh
        waiting.extend(fresh)
    return found - {table}
