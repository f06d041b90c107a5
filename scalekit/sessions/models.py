"""The sessions' table, which the database engine and the hybrid use, and the hybrid's word on its Redis."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Session(models.Model):
    """A session, named by the SHA-256 of its key; `data` is what `stores.database` packs into it."""

    name = models.CharField(max_length=64, primary_key=True)
    data = models.TextField()
    version = models.BigIntegerField(default=1)
    owner = models.CharField(max_length=255, default="", help_text=_("The user's id."))
    created = models.DateTimeField()
    saved = models.DateTimeField()
    expires = models.DateTimeField()
    ended = models.BooleanField(default=False, help_text=_("A tombstone."))

    class Meta:  # noqa: D106 - Django's
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = (
            models.Index(fields=["expires"], name="scalekit_session_expires"),
            # Anonymous visitors have no owner, and are most of the table on many sites.
            models.Index(
                fields=["owner"], name="scalekit_session_owner", condition=~models.Q(owner="")
            ),
        )


class Epoch(models.Model):
    """One row: the number that an entry in Redis must carry to be believed, and until when none is."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)
    distrusted_until = models.DateTimeField()

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
