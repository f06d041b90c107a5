from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    """What becomes of all parts of a transaction."""

    COMMIT = "commit", _("Commit")
    ROLLBACK = "rollback", _("Roll back")


class TransactionDecision(models.Model):
    """What was decided of a transaction over several shards: the one row that its coordinator or recovery writes.

    Whoever inserts it first has decided; the other finds it. It is kept for weeks: a shard that fails over may
    show a prepared transaction again, and a coordinator may wake up late.
    """

    id = models.UUIDField(primary_key=True)
    group = models.CharField(max_length=100)
    outcome = models.CharField(max_length=8, choices=Outcome)
    decided_at = models.DateTimeField(db_default=Now())
