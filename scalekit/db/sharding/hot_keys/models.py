from __future__ import annotations

from django.db import models


class KeyTraffic(models.Model):
    """What one process has counted in its last window, of one shard group."""

    process = models.CharField(max_length=100)
    group = models.CharField(max_length=100, db_column="shard_group")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_index=True)
    total = models.BigIntegerField()
    keys = models.JSONField(
        default=list, db_column="shard_keys"
    )  # [[key, count, at most too many]]

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["process", "group"], name="scalekit_db_traffic_once"),
        )
