"""Photos with owners and tags, and a model for every way in which rows may hang together."""

from __future__ import annotations

import uuid

from django.db import models


class Model(models.Model):
    class Meta:
        abstract = True
        app_label = "gallery"  # so that tests may import this before the app is installed


class Owner(Model):
    name = models.CharField(max_length=50)
    friends = models.ManyToManyField("self")


class Tag(Model):
    word = models.CharField(max_length=50, unique=True)


class Photo(Model):
    title = models.CharField(max_length=50, unique=True)
    likes = models.IntegerField(default=0)
    owner = models.ForeignKey(Owner, models.CASCADE, null=True, related_name="photos")
    tags = models.ManyToManyField(Tag, related_name="photos")


class PublicPhoto(Photo):
    class Meta(Model.Meta):
        abstract = False
        proxy = True


class Comment(Model):
    """Goes with its photo: by a fast delete of Django's, since nothing hangs on it."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="comments")
    text = models.CharField(max_length=50)


class Note(Model):
    """Goes with its photo: where Django knows how, by the database itself."""

    photo = models.ForeignKey(Photo, getattr(models, "DB_CASCADE", models.CASCADE))


class Place(Model):
    name = models.CharField(max_length=50)


class Cafe(Place):
    menu = models.CharField(max_length=50)

    class Meta(Model.Meta):
        abstract = False


class Upload(Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)


class Country(Model):
    code = models.CharField(max_length=9, primary_key=True)
    name = models.CharField(max_length=50)


class OfAna(models.Manager):
    """Joins a table that no query through it names."""

    whose = "ana"

    def get_queryset(self):
        return super().get_queryset().filter(owner__name=self.whose)


class Album(Model):
    name = models.CharField(max_length=50)


class Print(Model):
    album = models.ForeignKey(Album, models.CASCADE, related_name="prints")
    owner = models.ForeignKey(Owner, models.CASCADE)

    objects = OfAna()


class Seat(Model):
    pk = models.CompositePrimaryKey("line", "number")
    line = models.IntegerField()
    number = models.IntegerField()
    taken = models.BooleanField(default=False)


class Unrelated(Model):
    name = models.CharField(max_length=50)
