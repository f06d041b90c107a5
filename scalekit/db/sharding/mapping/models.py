"""The stored slot map, on `default`; read by `read.sql`, which needs no model."""

from __future__ import annotations

from django.db import models

from scalekit.db.sharding.mapping.slot_map import LONGEST_KEY


class ShardMap(models.Model):
    """Which shard holds which slots of a group; each change counts `version` up."""

    group = models.CharField(max_length=100, primary_key=True, db_column="shard_group")
    version = models.BigIntegerField()
    assignments = models.JSONField()  # [[alias, how many slots in a row], ...]
    boundaries = models.JSONField(default=list)  # of `Ranges` alone
    live = models.BooleanField(default=True)  # False while the rows still lie unsharded
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()


class ShardMapKey(models.Model):
    """The shard of one key that does not lie where its slot does."""

    group = models.CharField(max_length=100, db_column="shard_group")
    key = models.CharField(
        max_length=LONGEST_KEY, db_column="shard_key"
    )  # as `canonical_text` has it
    shard = models.CharField(max_length=100)

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["group", "key"], name="scalekit_db_key_once"),
        )
