# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.db import DEFAULT_DB_ALIAS, models, router
from django.db.models.signals import class_prepared, m2m_changed, post_delete, post_save

from scalekit.db.cluster import current_cluster
from scalekit.db.exceptions import WriteOnCopy
from scalekit.db.sharding.declarations import is_reference
from scalekit.db.sharding.reference.noting import note, noting

if TYPE_CHECKING:
    from collections.abc import Iterable

M = TypeVar("M", bound=models.Model)

SIGNALLED = {models.CASCADE, models.PROTECT, models.RESTRICT, models.DO_NOTHING}


class ReferenceQuerySet(models.QuerySet[M]):
    """A queryset of a `ReferenceModel`: its writes go to `default`, and from there to every shard."""

    if TYPE_CHECKING:  # Django's own, which the stubs leave out
        _db: str | None

    def update(self, **kwargs: Any) -> int:
        """Update the rows, of which the primary key stays as it is."""
        alias = self._written_on()
        with noting(alias, self.model) as keys:
            if keys is None:
                return super().update(**kwargs)
            if {"pk", self.model._meta.pk.name, self.model._meta.pk.attname} & kwargs.keys():
                msg = f"The primary key of {self.model.__name__} cannot be changed: shards know rows by it."
                raise WriteOnCopy(msg)
            rows = self.using(alias)
            keys.extend(rows.values_list("pk", flat=True))
            return super(ReferenceQuerySet, rows.filter(pk__in=list(keys))).update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._written_on()
        return super().delete()

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        with noting(self._written_on(), self.model) as keys:
            made = super().bulk_create(objs, *args, **kwargs)
            if keys is not None:
                known = [obj.pk for obj in made]
                keys.extend([None] if None in known else known)
            return made

    def _written_on(self) -> str:
        """Return the database to write to. Raises `WriteOnCopy` for a shard."""
        alias = self._db or router.db_for_write(self.model)
        refuse_copy(self.model, alias)
        return alias

    update.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates
    delete.alters_data = True  # type: ignore[attr-defined]  # templates must not call these
    delete.queryset_only = True  # type: ignore[attr-defined]  # as Django's
    bulk_create.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates


class ReferenceManager(models.Manager.from_queryset(ReferenceQuerySet)):  # type: ignore[misc]  # made by Django
    """The manager of reference models; build your own from `ReferenceQuerySet`."""


class ReferenceModel(models.Model):
    """A model whose rows every shard has a copy of, so that sharded queries may join them.

        class Currency(ReferenceModel):
            code = models.CharField(max_length=3, unique=True)

        class Order(ShardedModel):
            currency = LooseForeignKey(Currency)

    Rows are written on `default` and reach the shards a moment later. Read by themselves, they come from `default`
    or its replicas. Until there are shards, this is an ordinary model.
    """

    shard_reference: ClassVar[bool] = True

    objects = ReferenceManager()
    # What Django itself uses to save, refresh, follow relations and cascade; not to be filtered.
    reference_base = ReferenceManager()

    class Meta:  # noqa: D106 - Django's
        abstract = True
        base_manager_name = "reference_base"

    def save_base(
        self,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Save the row. Raises `WriteOnCopy` on a shard."""
        using = using or router.db_for_write(type(self), instance=self)
        refuse_copy(type(self), using)
        with noting(using, type(self)) as keys:
            super().save_base(raw, force_insert, force_update, using, update_fields)
            if keys is not None:
                keys.append(self.pk)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row. Raises `WriteOnCopy` on a shard."""
        using = using or router.db_for_write(type(self), instance=self)
        refuse_copy(type(self), using)
        return super().delete(using, keep_parents)

    delete.alters_data = True  # type: ignore[attr-defined]  # templates must not call it


def refuse_copy(model: type[models.Model], alias: str) -> None:
    """Raise `WriteOnCopy` if a reference model would be written on a shard."""
    if alias == DEFAULT_DB_ALIAS or alias not in current_cluster().shard_aliases:
        return
    msg = (
        f"{model.__name__} is a reference table: {alias} has a copy of what {DEFAULT_DB_ALIAS} has, so a write there "
        "would be lost or leave the copies different. Leave out using."
    )
    raise WriteOnCopy(msg)


def _prepared(sender: Any, **_: Any) -> None:
    """Hear of the rows and pairs of a reference model that Django deletes or links by itself."""
    if not issubclass(sender, ReferenceModel) or sender._meta.abstract:
        return
    post_save.connect(_loaded, sender=sender, dispatch_uid="scalekit.db.reference")
    post_delete.connect(_deleted, sender=sender, dispatch_uid="scalekit.db.reference")
    for field in sender._meta.local_many_to_many:
        through: Any = field.remote_field.through
        m2m_changed.connect(_linked, sender=through, dispatch_uid="scalekit.db.reference")


def _loaded(sender: Any, instance: Any, raw: bool, using: str, **_: Any) -> None:
    """Hear of a fixture's row, which Django saves past `save_base` of its class."""
    if raw:
        note(using, sender, [instance.pk])


def _deleted(sender: Any, instance: Any, using: str, **_: Any) -> None:
    note(using, sender, [instance.pk])
    for model in _changed_with(sender):
        note(using, model, None)


@lru_cache(maxsize=1024)
def _changed_with(model: type[models.Model]) -> tuple[type[models.Model], ...]:
    """Return the reference tables in which a deletion changes rows without a signal: pairs, and what is set to NULL."""
    relations = [f for f in model._meta.get_fields(include_hidden=True) if f.auto_created]
    pointing: list[Any] = [r for r in relations if r.one_to_many or r.one_to_one]
    return tuple(
        dict.fromkeys(
            r.related_model
            for r in pointing
            if is_reference(r.related_model)
            and (r.related_model._meta.auto_created or r.on_delete not in SIGNALLED)
        )
    )


def _linked(sender: Any, action: str, using: str, **_: Any) -> None:
    if action.startswith("post_"):
        note(using, sender, None)


class_prepared.connect(_prepared, dispatch_uid="scalekit.db.reference")
