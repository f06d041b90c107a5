from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from scalekit.db.facts import SHARDS
from scalekit.db.sharding.placing import declared_group, group_of, scheme_of, slot_of_instance
from scalekit.db.sharding.queryset import ShardedManager


class ShardedModel(models.Model):
    """A model whose rows are spread over the shards of a group.

        class Photo(ShardedModel):
            id = SnowflakeField(primary_key=True)
            owner_id = models.BigIntegerField()
            shard_group, shard_key = "users", "owner_id"

    `shard_key` names the field that decides; rows that belong together carry the same key. Until
    SCALEKIT_DB_SHARDING has the group, this is an ordinary model.
    """

    shard_group: ClassVar[str] = ""
    shard_key: ClassVar[str] = ""

    objects = ShardedManager()
    # What Django itself uses to save, refresh and follow relations; not to be filtered.
    sharded_base = ShardedManager()

    class Meta:  # noqa: D106
        abstract = True
        base_manager_name = "sharded_base"

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Save the row. Raises `WrongShard` where it would not be found again, whatever `using` says."""
        group = group_of(type(self))
        if group is not None:
            slot_of_instance(self, scheme_of(group))
        super().save_base(*args, **kwargs)

    def _perform_unique_checks(self, unique_checks: Any) -> Any:
        """Look for duplicates on this row's shard: uniqueness holds within a shard."""
        group = declared_group(type(self))
        slot = None if group is None else slot_of_instance(self, scheme_of(group))
        if group is None or slot is None or group_of(type(self)) is None:
            return super()._perform_unique_checks(unique_checks)  # type: ignore[misc]  # private in the stubs
        with SHARDS.bind({**SHARDS.get(), group: slot}):
            return super()._perform_unique_checks(unique_checks)  # type: ignore[misc]
