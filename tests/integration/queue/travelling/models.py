"""What a request writes: a row on the database with the jobs, and one on a shard. Their tables are made by hand."""

from __future__ import annotations

from django.db import models

from scalekit.db import ShardedModel


class Effect(models.Model):
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "effect"


class Photo(ShardedModel):
    id = models.BigIntegerField(primary_key=True)
    owner_id = models.BigIntegerField()

    shard_group, shard_key = "users", "owner_id"
    unique_within_shard = ("id",)  # the test gives ids itself

    class Meta:
        managed = False
        db_table = "photo"
