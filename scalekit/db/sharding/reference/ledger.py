"""The tables of the outbox: which rows have yet to reach which shard, and who is at work there."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ReferenceChange(models.Model):
    """Rows of a reference table that changed, and that one shard has yet to be given as they are by then.

    It says which rows and not what changed: bringing a row twice, or late, gives the same.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=100)
    table = models.CharField(max_length=200, help_text=_("The model, as in shop.currency."))
    keys = models.JSONField(null=True, help_text=_("Primary keys; null: the whole table."))
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:  # noqa: D106 - of Django
        indexes = (models.Index(fields=["shard", "id"], name="scalekit_db_reference_shard"),)


class ReferenceLock(models.Model):
    """One row on each shard, which is held by whoever brings changes there: two would overtake each other."""

    on_every_primary = True

    id = models.SmallIntegerField(primary_key=True)
    taken_at = models.DateTimeField(db_default=Now())
