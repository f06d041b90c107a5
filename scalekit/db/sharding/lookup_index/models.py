from __future__ import annotations

from typing import ClassVar

from django.db import models


class ShardLookup(models.Model):
    """Which row of a sharded model has a value that is unique across shards.

    It has no value, only its digest: personal data is not copied to another database.
    """

    model = models.CharField(max_length=255)  # label of the app's class, in lower case
    field = models.CharField(max_length=63)
    digest = models.CharField(max_length=64)  # see digests.py
    shard_key = models.CharField(max_length=255)  # names the shard
    row_id = models.CharField(max_length=255)

    class Meta:  # noqa: D106 - Django's
        verbose_name = "value that is unique across shards"
        verbose_name_plural = "values that are unique across shards"
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar = (
            models.UniqueConstraint(
                fields=["model", "field", "digest"], name="scalekit_db_lookup_once"
            ),
        )
        indexes: ClassVar = (
            models.Index(fields=["model", "field", "row_id"], name="scalekit_db_lookup_row"),
        )

    def __str__(self) -> str:
        return f"{self.model}.{self.field} of {self.row_id}"
