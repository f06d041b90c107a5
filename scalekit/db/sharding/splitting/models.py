from __future__ import annotations

from django.db import models


class SplitTable(models.Model):
    """How far the copying of one table has come."""

    group = models.CharField(max_length=100, db_column="shard_group")
    table = models.CharField(max_length=100)
    last_id = models.TextField(blank=True)  # rows up to here are copied
    copied = models.BigIntegerField(default=0)
    done = models.BooleanField(default=False)
    verified_at = models.DateTimeField(null=True)

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["group", "table"], name="scalekit_db_split_once"),
        )
