from __future__ import annotations

from django.db import models


class Maker(models.Model):
    name = models.CharField(max_length=50)


class Label(models.Model):
    name = models.CharField(max_length=50)


class Item(models.Model):
    name = models.CharField(max_length=50, unique=True)
    price = models.IntegerField(default=0)
    maker = models.ForeignKey(Maker, models.CASCADE, related_name="items")
    labels = models.ManyToManyField(Label, related_name="items")


class Cover(models.Model):
    """Alike to `Item`, for a second library in one process: each keeps the queries of its own table."""

    name = models.CharField(max_length=50)
    price = models.IntegerField(default=0)
