"""An app all of whose models are sharded."""

from __future__ import annotations

from django.db import models

from scalekit.db import ShardedModel, SnowflakeField


class Drawing(ShardedModel):
    id = SnowflakeField(primary_key=True)
    writer_id = models.BigIntegerField()

    shard_group, shard_key = "users", "writer_id"
