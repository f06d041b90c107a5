from __future__ import annotations

from typing import ClassVar

from django.db import models


class IdLease(models.Model):
    """A number of 0 to 1023 with which one process makes ids, up to a millisecond."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.CharField(max_length=32)
    until_ms = models.BigIntegerField()  # since ids.EPOCH_MS; given out for ever, never lowered

    class Meta:  # noqa: D106 - Django's
        verbose_name = "lease of ids"
        verbose_name_plural = "leases of ids"
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.number} up to {self.until_ms}"
