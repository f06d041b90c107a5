from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models

from scalekit.db.conf import schemes
from scalekit.db.exceptions import WrongShard
from scalekit.db.sharding.declarations import configured_group, group_of
from scalekit.db.sharding.lookup_index.claiming import claimed
from scalekit.db.sharding.mapping.staleness import retry_when_stale
from scalekit.db.sharding.placing import beside, home_of, primary_of_instance
from scalekit.db.sharding.queryset import ShardedManager

if TYPE_CHECKING:
    from collections.abc import Sequence


class ShardedModel(models.Model):
    """A model whose rows are spread over the shards of a group.

        class Photo(ShardedModel):
            id = SnowflakeField(primary_key=True)
            owner_id = models.BigIntegerField()
            shard_group, shard_key = "users", "owner_id"

    `shard_key` names the field that decides; rows that belong together carry the same key. Fields in
    `shard_lookups` are unique across shards, and a query by one of them finds its shard. Until
    SCALEKIT_DB_SHARDING has the group, this is an ordinary model.
    """

    shard_group: ClassVar[str] = ""
    shard_key: ClassVar[str] = ""
    shard_lookups: ClassVar[Sequence[str]] = ()
    unique_within_shard: ClassVar[
        Sequence[str]
    ] = ()  # fields and constraints that may repeat elsewhere

    objects = ShardedManager()
    # What Django itself uses to save, refresh and follow relations; not to be filtered.
    sharded_base = ShardedManager()

    class Meta:  # noqa: D106
        abstract = True
        base_manager_name = "sharded_base"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row, on the shard that its slot has moved to if it moves meanwhile."""
        if configured_group(type(self)) is None:
            super().save(*args, **kwargs)
        else:
            # All of it: Django asks the router here, before `save_base`.
            retry_when_stale(partial(super().save, *args, **kwargs))

    def save_base(
        self,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Save the row. Raises `WrongShard` where it would not be found again, whatever `using` says."""
        group = None if raw else group_of(type(self))
        if group is None:
            super().save_base(raw, force_insert, force_update, using, update_fields)
            return
        home = home_of(self, group, _chosen(group, using))
        with claimed([self], home, update_fields):
            super().save_base(raw, force_insert, force_update, home, update_fields)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row. Raises `WrongShard` where it does not lie."""
        delete = super().delete
        if configured_group(type(self)) is None or self.pk is None:
            return delete(using, keep_parents)

        def delete_at_home() -> tuple[int, dict[str, int]]:
            group = group_of(type(self))
            home = using if group is None else home_of(self, group, _chosen(group, using))
            return delete(home, keep_parents)

        return retry_when_stale(delete_at_home)

    def full_clean(self, *args: Any, **kwargs: Any) -> None:
        """Validate the row. What saving it would refuse as `WrongShard` is a ValidationError here."""
        group = group_of(type(self))
        try:
            super().full_clean(*args, **kwargs)
            if group is not None and primary_of_instance(self, group) is not None:
                home_of(self, group)
        except WrongShard as error:
            raise ValidationError(str(error), code="shard") from error

    def _perform_unique_checks(self, unique_checks: Any) -> Any:
        """Look for duplicates on this row's shard: uniqueness holds within a shard."""
        if self._lacks_home():
            return {}
        with beside(self):
            return super()._perform_unique_checks(unique_checks)  # type: ignore[misc]  # private in the stubs

    def validate_constraints(self, exclude: Any = None) -> None:
        """Look for rows that break a constraint on this row's shard."""
        if not self._lacks_home():
            super().validate_constraints(exclude)

    def _lacks_home(self) -> bool:
        """Return whether there is no shard to look on: a form without the key, which says so by itself."""
        group = group_of(type(self))
        try:
            return group is not None and primary_of_instance(self, group) is None
        except WrongShard:
            return True

    save.alters_data = True  # type: ignore[attr-defined]  # templates must not call it
    delete.alters_data = True  # type: ignore[attr-defined]  # templates must not call it


def _chosen(group: str, using: str | None) -> str | None:
    """Return the database that the caller chose, None for the one where the rows of the group lay before."""
    return None if using == schemes[group].starts_on else using
