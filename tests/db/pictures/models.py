"""Photos and what hangs on them, over several steps and in every kind of relation that Django has."""

from __future__ import annotations

import uuid

from django.contrib.contenttypes.models import ContentType
from django.db import models

from scalekit.db import ShardedModel, SnowflakeField
from scalekit.db.sharding.generic import ShardedGenericForeignKey, ShardedGenericRelation


def outside(model, **options):
    """A foreign key to an unsharded row."""
    return models.ForeignKey(model, models.DO_NOTHING, db_constraint=False, **options)


class Person(models.Model):
    name = models.CharField(max_length=50)


class Tag(ShardedModel):
    id = SnowflakeField(primary_key=True)
    owner = outside(Person, related_name="tags")
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "owner"


class Photo(ShardedModel):
    id = SnowflakeField(primary_key=True)
    owner = outside(Person, related_name="photos")
    rank = models.IntegerField(default=0)
    tags = models.ManyToManyField(Tag, blank=True, related_name="photos")
    notes = ShardedGenericRelation("pictures.Note")

    shard_group, shard_key = "users", "owner"


class Comment(ShardedModel):
    """Has the key of its photo."""

    id = SnowflakeField(primary_key=True)
    photo = models.ForeignKey(Photo, models.CASCADE, null=True, related_name="comments")
    author = outside(Person, related_name="comments")
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "photo__owner"


class Like(ShardedModel):
    """Has the key of its comment's photo."""

    id = SnowflakeField(primary_key=True)
    comment = models.ForeignKey(Comment, models.CASCADE, related_name="likes")
    fan = outside(Person, related_name="likes")
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "comment__photo__owner"


class Follow(ShardedModel):
    """Points to two people, of whom one is its key."""

    id = SnowflakeField(primary_key=True)
    follower = outside(Person, related_name="following")
    followee = outside(Person, related_name="followers", null=True)

    shard_group, shard_key = "users", "follower"


class Story(ShardedModel):
    """Its id says nothing of where it lies."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner_id = models.BigIntegerField()
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "owner_id"


class Remark(ShardedModel):
    """Nor does its own, nor that of its story, whose key it has."""

    id = SnowflakeField(primary_key=True)
    story = models.ForeignKey(Story, models.CASCADE, related_name="remarks")
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "story"


class Frame(ShardedModel):
    id = SnowflakeField(primary_key=True)
    photo = models.OneToOneField(Photo, models.CASCADE, related_name="frame")
    rank = models.IntegerField(default=0)

    shard_group, shard_key = "users", "photo"


class Note(ShardedModel):
    """About anything."""

    id = SnowflakeField(primary_key=True)
    owner_id = models.BigIntegerField()
    rank = models.IntegerField(default=0)
    content_type = outside(ContentType)
    object_id = models.BigIntegerField()
    about = ShardedGenericForeignKey()

    shard_group, shard_key = "users", "owner_id"
