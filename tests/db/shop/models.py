"""A small shop: customers on the default database, their orders on shards."""

from __future__ import annotations

import uuid

from django.db import models

from scalekit.db import ShardedModel, SnowflakeField


class Customer(models.Model):
    name = models.CharField(max_length=50)
    visits = models.IntegerField(default=0)


class Order(ShardedModel):
    id = SnowflakeField(primary_key=True)
    customer_id = models.BigIntegerField()
    note = models.CharField(max_length=50, blank=True)
    items = models.IntegerField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    weight = models.FloatField(null=True)
    day = models.DateField(null=True)
    placed = models.DateTimeField(null=True)
    paid = models.BooleanField(default=False)
    token = models.UUIDField(null=True, unique=True)

    shard_group, shard_key = "users", "customer_id"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["customer_id", "note"], name="note_once"),)


class Line(ShardedModel):
    id = SnowflakeField(primary_key=True)
    customer_id = models.BigIntegerField()
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    amount = models.IntegerField(default=1)

    shard_group, shard_key = "users", "customer_id"


class Gift(ShardedModel):
    """Has no key of its own: it lies where its order lies."""

    id = SnowflakeField(primary_key=True)
    order = models.ForeignKey(Order, models.CASCADE, related_name="gifts")
    giver = models.ForeignKey(
        Customer, models.DO_NOTHING, db_constraint=False, null=True, related_name="gifts"
    )

    shard_group, shard_key = "users", "order"


class Album(ShardedModel):
    """Many to many on the shard; joined to nothing that holds its id's slot but the pairs."""

    id = SnowflakeField(primary_key=True)
    customer_id = models.BigIntegerField()
    orders = models.ManyToManyField(Order, related_name="albums")

    shard_group, shard_key = "users", "customer_id"


class Review(ShardedModel):
    """Its id says nothing of where it lies."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    customer_id = models.BigIntegerField()

    shard_group, shard_key = "users", "customer_id"


class Reply(ShardedModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    customer_id = models.BigIntegerField()
    review = models.ForeignKey(Review, models.CASCADE, related_name="replies")

    shard_group, shard_key = "users", "customer_id"


class Address(ShardedModel):
    """Its key is a foreign key to an unsharded row."""

    id = SnowflakeField(primary_key=True)
    owner = models.ForeignKey(
        Customer, models.DO_NOTHING, db_constraint=False, related_name="addresses"
    )
    street = models.CharField(max_length=50)

    shard_group, shard_key = "users", "owner"
