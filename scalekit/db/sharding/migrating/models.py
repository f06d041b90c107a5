from __future__ import annotations

from django.db import models

LONGEST_NAME = 255


class State(models.TextChoices):
    """What became of a migration on a shard."""

    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"  # migrated back
    FAILED = "failed"


class ShardMigration(models.Model):
    """What became of one migration on one shard, as `migrate_shards` saw it.

    What a shard has is said by its own django_migrations; this says when, for how long, and why not.
    """

    alias = models.CharField(max_length=LONGEST_NAME)
    app = models.CharField(max_length=LONGEST_NAME)
    name = models.CharField(max_length=LONGEST_NAME)
    state = models.CharField(max_length=10, choices=State.choices)
    started_at = models.DateTimeField()
    seconds = models.FloatField(null=True)
    error = models.TextField(default="", blank=True)

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=["alias", "app", "name"], name="scalekit_db_shardmigration_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.app}.{self.name} on {self.alias}: {self.state}"
