from __future__ import annotations

from django.db import models

from scalekit.db import ShardedModel, SnowflakeField


class PlainOrder(models.Model):
    id = models.BigIntegerField(primary_key=True)
    customer_id = models.BigIntegerField(db_index=True)
    note = models.CharField(max_length=50)


class Order(ShardedModel):
    id = SnowflakeField(primary_key=True)
    customer_id = models.BigIntegerField(db_index=True)
    note = models.CharField(max_length=50)

    shard_group, shard_key = "users", "customer_id"
