"""The tables of the queue: jobs, with what became of them, and what keeps them in order.

One row of `TaskRecord` is the outbox entry, the record, the result and the dead letter of one job. It lies in
the database whose transaction enqueued it, so the tables belong in every database of SCALEKIT_QUEUE_DATABASES.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

LONGEST_PATH = 255


class Status(models.TextChoices):
    """What a job is; the names and values are those of Django's TaskResultStatus."""

    READY = "READY", _("Ready")  # to be run, or to be run again
    RUNNING = "RUNNING", _("Running")
    SUCCESSFUL = "SUCCESSFUL", _("Successful")
    FAILED = "FAILED", _("Failed")  # for good: a dead letter


class TaskRecord(models.Model):
    """One job.

    `publish_at` is the outbox: null once the broker has confirmed the message, else when it is due. Whoever
    publishes pushes it into the future first, which is the lease, and counts `publications`, which is the
    fence. `attempt` fences the worker in the same way, `leased_until` is its sign of life. All times are by
    the clock of the database.
    """

    id = models.UUIDField(
        primary_key=True, help_text=_("Version 7; the message's and the result's too.")
    )
    kind = models.CharField(
        max_length=8, choices={"task": _("Task"), "actor": _("Dramatiq actor")}, default="task"
    )
    path = models.CharField(
        max_length=LONGEST_PATH,
        help_text=_("Where the Task is, or the actor's name; empty for an unreadable message."),
    )
    queue_name = models.CharField(max_length=LONGEST_PATH)
    priority = models.SmallIntegerField(default=0, help_text=_("-100 to 100; larger goes first."))
    backend = models.CharField(max_length=LONGEST_PATH, default="", help_text=_("Alias in TASKS."))
    args = models.JSONField(default=list)
    kwargs = models.JSONField(default=dict)
    options = models.JSONField(default=dict, help_text=_("Of the message, the facts among them."))
    status = models.CharField(max_length=10, choices=Status, default=Status.READY)
    kept = models.BooleanField(
        default=True, db_default=True, help_text=_("False: gone once it is published.")
    )

    publish_at = models.DateTimeField(null=True)
    publications = models.IntegerField(default=0, db_default=0)

    enqueued_at = models.DateTimeField(db_default=Now())
    run_after = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    last_attempted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(
        null=True, help_text=_("When a finished job may be forgotten.")
    )

    attempt = models.IntegerField(default=0, db_default=0, help_text=_("Times that it was begun."))
    deaths = models.SmallIntegerField(
        default=0, db_default=0, help_text=_("Workers that died while they ran it.")
    )
    forgiven = models.IntegerField(
        default=0,
        db_default=0,
        help_text=_("Attempts that count no more, as an operator has run the dead letter again."),
    )
    leased_until = models.DateTimeField(null=True)
    cancel_asked = models.BooleanField(default=False, db_default=False)
    worker_ids = models.JSONField(default=list)
    errors = models.JSONField(
        default=list,
        help_text=_("One for each attempt that raised: exception_class_path, traceback, at."),
    )
    return_value = models.JSONField(null=True)
    progress = models.JSONField(null=True, help_text=_("Done, total and a message."))
    raw = models.TextField(
        default="", db_default="", help_text=_("A message that could not be read.")
    )

    unique_key = models.CharField(
        max_length=64, null=True, help_text=_("SHA-256; null once it is free again.")
    )
    unique_until = models.DateTimeField(null=True)
    group = models.UUIDField(null=True)

    on_every_primary = True  # the router of scalekit.db lets shards have the table too

    class Meta:  # noqa: D106 - Django's
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        permissions = (
            ("requeue_taskrecord", _("Can run dead letters again")),
            ("cancel_taskrecord", _("Can cancel jobs")),
        )
        indexes = (
            models.Index(
                fields=["publish_at"],
                name="scalekit_queue_outbox",
                condition=Q(publish_at__isnull=False),
            ),
            models.Index(
                fields=["leased_until"], name="scalekit_queue_leased", condition=Q(status="RUNNING")
            ),
            models.Index(
                fields=["expires_at"],
                name="scalekit_queue_expiry",
                condition=Q(expires_at__isnull=False),
            ),
            models.Index(
                fields=["-finished_at"], name="scalekit_queue_dead", condition=Q(status="FAILED")
            ),
            models.Index(
                fields=["group"], name="scalekit_queue_group", condition=Q(group__isnull=False)
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["unique_key"],
                name="scalekit_queue_unique",
                condition=Q(unique_key__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.path or 'unreadable'} {self.id}"


class TaskGroup(models.Model):
    """Jobs that are waited for together; each that ends counts `pending` down, the last one sends what comes next.

    A member that dies counts as `failed`, until it is requeued and succeeds.
    """

    id = models.UUIDField(primary_key=True)
    size = models.IntegerField()
    pending = models.IntegerField()
    failed = models.IntegerField(default=0, db_default=0)
    on_success = models.JSONField(null=True)  # the job to enqueue
    on_failure = models.JSONField(null=True)
    on_finish = models.JSONField(null=True)
    flow = models.JSONField(
        null=True, help_text=_("The steps that follow, where it is one itself.")
    )
    group = models.UUIDField(null=True, help_text=_("The group of which this one is a member."))
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    on_every_primary = True

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        indexes = (
            models.Index(
                fields=["group"], name="scalekit_queue_nested", condition=Q(group__isnull=False)
            ),
            models.Index(
                fields=["finished_at"],
                name="scalekit_queue_over",
                condition=Q(finished_at__isnull=False),
            ),
        )


class CronEntry(models.Model):
    """An entry of SCALEKIT_QUEUE_CRON as some release has it: what was due before it was known was not missed."""

    name = models.CharField(max_length=LONGEST_PATH)
    schedule = models.CharField(
        max_length=LONGEST_PATH, help_text=_("The cron expression and the time zone.")
    )
    since = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:  # noqa: D106 - Django's
        verbose_name = _("cron entry")
        verbose_name_plural = _("cron entries")
        default_permissions = ("view", "change")
        constraints = (
            models.UniqueConstraint(fields=["name", "schedule"], name="scalekit_queue_entry"),
        )


class CronSlot(models.Model):
    """One time at which an entry of SCALEKIT_QUEUE_CRON was due; the row is what keeps it from firing twice."""

    name = models.CharField(max_length=LONGEST_PATH)
    due_at = models.DateTimeField()
    job = models.UUIDField(null=True)
    fired_at = models.DateTimeField(db_default=Now())

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["name", "due_at"], name="scalekit_queue_slot"),
        )


class InboxEntry(models.Model):
    """An effect that has happened; written in the transaction of the effect itself."""

    key = models.CharField(max_length=LONGEST_PATH, primary_key=True)
    happened_at = models.DateTimeField(db_default=Now())

    on_every_primary = True

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        indexes = (models.Index(fields=["happened_at"], name="scalekit_queue_inbox"),)


class Limit(models.Model):
    """The state of a rate limit: when the next job may begin, if all went at the allowed pace (GCRA)."""

    name = models.CharField(max_length=LONGEST_PATH, primary_key=True)
    theoretical_arrival = models.DateTimeField()

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()


class LimitHolder(models.Model):
    """One job that counts towards a concurrency limit, until it ends or its lease does."""

    name = models.CharField(max_length=LONGEST_PATH)
    place = models.IntegerField()
    holder = models.CharField(max_length=64)
    until = models.DateTimeField()

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=["name", "place"], name="scalekit_queue_place"),
        )


class LimitWaiter(models.Model):
    """One job that waits for a place, in the order in which they came."""

    name = models.CharField(max_length=LONGEST_PATH)
    job = models.UUIDField(unique=True)
    database = models.CharField(max_length=LONGEST_PATH, help_text=_("That has its row."))
    since = models.DateTimeField(db_default=Now())
    called_at = models.DateTimeField(
        null=True, help_text=_("When a place was free for it that it has not taken yet.")
    )

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
        indexes = (models.Index(fields=["name", "id"], name="scalekit_queue_waiters"),)


class PausedQueue(models.Model):
    """A queue from which no worker takes jobs."""

    queue_name = models.CharField(max_length=LONGEST_PATH, primary_key=True)
    since = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=LONGEST_PATH, default="")

    class Meta:  # noqa: D106 - Django's
        verbose_name = _("queue")
        verbose_name_plural = _("queues")


class Lease(models.Model):
    """Who alone may do something, and until when: the scheduler, the sweeper."""

    name = models.CharField(max_length=64, primary_key=True)
    holder = models.CharField(max_length=255)
    until = models.DateTimeField()

    on_every_primary = True

    class Meta:  # noqa: D106 - Django's
        default_permissions = ()
