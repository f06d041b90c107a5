"""A club: towns and sports beside sharded members, whose addresses are unique wherever they live."""

from __future__ import annotations

from django.db import models

from scalekit.db import LooseForeignKey, ShardedModel, SnowflakeField, UUIDv7Field


class Town(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        ordering = ("name",)


class Sport(models.Model):
    """Each shard has all of its rows."""

    shard_reference = True

    name = models.CharField(max_length=50)
    kin = models.ForeignKey("self", models.DO_NOTHING, null=True)


class Member(ShardedModel):
    id = SnowflakeField(primary_key=True)
    family = models.BigIntegerField()
    email = models.EmailField(unique=True)
    number = models.IntegerField(unique=True, null=True, blank=True)
    name = models.CharField(max_length=50, blank=True)
    town = LooseForeignKey(Town, null=True, blank=True, related_name="members")
    sport = LooseForeignKey(Sport, null=True, blank=True, related_name="members")

    shard_group, shard_key = "users", "family"
    shard_lookups = ("email", "number")


class Visit(ShardedModel):
    id = UUIDv7Field(primary_key=True)
    family = models.BigIntegerField()
    member = models.ForeignKey(Member, models.CASCADE, null=True, related_name="visits")
    after = models.ForeignKey("self", models.DO_NOTHING, null=True)
    paid = models.IntegerField(default=0)

    shard_group, shard_key = "users", "family"


class Pass(ShardedModel):
    """Goes with its member."""

    id = SnowflakeField(primary_key=True)
    member = models.ForeignKey(Member, models.CASCADE, related_name="passes")
    code = models.CharField(max_length=20, unique=True)

    shard_group, shard_key = "users", "member__family"
    shard_lookups = ("code",)


class Badge(ShardedModel):
    """Of another group: its rows are spread otherwise."""

    id = SnowflakeField(primary_key=True)
    region = models.CharField(max_length=10)
    member = LooseForeignKey(Member, null=True, related_name="badges")

    shard_group, shard_key = "regions", "region"


class Nickname(models.Model):
    """An unsharded row that points to a sharded one."""

    member = LooseForeignKey(Member, related_name="nicknames")
    text = models.CharField(max_length=50)
