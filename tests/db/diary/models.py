"""An app with migrations: writers on the default database, their entries and stickers on shards."""

from __future__ import annotations

import uuid

from django.db import models

from scalekit.db import ShardedModel, SnowflakeField


class Writer(models.Model):
    name = models.CharField(max_length=50)
    entries = models.IntegerField(default=0)


class Entry(ShardedModel):
    id = SnowflakeField(primary_key=True)
    writer_id = models.BigIntegerField()
    text = models.CharField(max_length=100)
    words = models.IntegerField(default=0)

    shard_group, shard_key = "users", "writer_id"

    class Meta:
        indexes = (models.Index(fields=["writer_id", "-id"], name="entry_of_writer"),)


class Sticker(ShardedModel):
    """Its id says nothing of its group, in migrations either."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    writer_id = models.BigIntegerField()
    entry = models.ForeignKey(Entry, models.CASCADE, null=True)

    shard_group, shard_key = "users", "writer_id"
