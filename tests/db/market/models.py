"""A market: currencies and what they are grouped by on every shard, sales on one each."""

from __future__ import annotations

from django.db import models

from scalekit.db import LooseForeignKey, ReferenceModel, ShardedModel, SnowflakeField


class Region(ReferenceModel):
    name = models.CharField(max_length=20, unique=True)


class Currency(ReferenceModel):
    code = models.CharField(max_length=3, unique=True)
    rate = models.DecimalField(max_digits=10, decimal_places=4, default=1)
    region = models.ForeignKey(Region, models.CASCADE, null=True)
    printed_in = models.ForeignKey(Region, models.SET_NULL, null=True, related_name="printed")
    changed_at = models.DateTimeField(auto_now=True)
    accepted_in = models.ManyToManyField(Region, related_name="accepted")


class Sale(ShardedModel):
    id = SnowflakeField(primary_key=True)
    seller_id = models.BigIntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    currency = LooseForeignKey(Currency, related_name="sales")

    shard_group, shard_key = "users", "seller_id"
