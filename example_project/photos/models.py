"""Who owns what, and where it lives.

Users, profiles and follows stand on the default database. A photo stands on its owner's shard,
and so do its likes and comments: they carry the owner of the photo as their key. Nothing on a
shard has a foreign key to a user, who lives elsewhere; authors are looked up by `people`.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from scalekit.db import ShardedModel, SnowflakeField

CAPTION_LENGTH = 200
COMMENT_LENGTH = 500
# How long a worker may take before the site shows the whole photo in place of the thumbnail.
THUMBNAIL_PATIENCE = timedelta(minutes=5)


def random_name(folder: str) -> str:
    """Return a file name that cannot be guessed, and never comes twice: it may be cached forever."""
    token = secrets.token_hex(16)
    return f"{folder}/{token[:2]}/{token}.jpg"


def avatar_name(instance: Profile, filename: str) -> str:  # noqa: ARG001 - Django's signature
    return random_name("avatars")


def photo_name(instance: Photo, filename: str) -> str:  # noqa: ARG001 - Django's signature
    return random_name("photos")


def thumbnail_name(instance: Photo, filename: str) -> str:  # noqa: ARG001 - Django's signature
    return random_name("thumbnails")


class Profile(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="profile"
    )
    name = models.CharField(max_length=60, blank=True)
    bio = models.CharField(max_length=160, blank=True)
    avatar = models.ImageField(upload_to=avatar_name, blank=True)

    def __str__(self) -> str:
        return self.name or f"profile {self.pk}"


class Follow(models.Model):
    follower = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="following_links"
    )
    followed = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="follower_links"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["follower", "followed"], name="follow_once"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followed")), name="follow_others"
            ),
        )

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"


class Photo(ShardedModel):
    id = SnowflakeField(primary_key=True)
    owner_id = models.BigIntegerField()
    image = models.ImageField(upload_to=photo_name)
    thumbnail = models.ImageField(upload_to=thumbnail_name, blank=True)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    caption = models.CharField(max_length=CAPTION_LENGTH, blank=True)
    alt = models.CharField("description", max_length=CAPTION_LENGTH, blank=True)
    # Kept beside the rows they count, on the same shard and in the same transaction, so that a
    # page of photos needs no query for each of them.
    like_count = models.PositiveIntegerField(default=0, editable=False)
    comment_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    shard_group, shard_key = "users", "owner_id"

    class Meta:
        indexes = (models.Index(fields=["owner_id", "-id"], name="photo_of_owner"),)

    def __str__(self) -> str:
        return self.caption or f"photo {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("photo", args=[self.pk])

    @property
    def description(self) -> str:
        """What a reader who cannot see the photo is told."""
        return self.alt or self.caption or "Photo without a description"

    @property
    def preview_url(self) -> str:
        """The thumbnail's address; empty while a worker is still expected to make it."""
        if self.thumbnail:
            return self.thumbnail.url
        overdue = timezone.now() - self.created_at > THUMBNAIL_PATIENCE
        return self.image.url if overdue else ""


class Like(ShardedModel):
    id = SnowflakeField(primary_key=True)
    owner_id = models.BigIntegerField()
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="likes")
    author_id = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    shard_group, shard_key = "users", "owner_id"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["photo", "author_id"], name="like_once"),)
        indexes = (models.Index(fields=["owner_id"], name="like_of_owner"),)

    def __str__(self) -> str:
        return f"{self.author_id} likes {self.photo_id}"


class Comment(ShardedModel):
    id = SnowflakeField(primary_key=True)
    owner_id = models.BigIntegerField()
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="comments")
    author_id = models.BigIntegerField()
    text = models.CharField(max_length=COMMENT_LENGTH)
    created_at = models.DateTimeField(default=timezone.now)

    shard_group, shard_key = "users", "owner_id"

    class Meta:
        indexes = (models.Index(fields=["photo", "id"], name="comment_of_photo"),)

    def __str__(self) -> str:
        return self.text[:40]
