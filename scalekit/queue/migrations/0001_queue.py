from __future__ import annotations

from typing import TYPE_CHECKING

import django.db.models.functions.datetime
from django.db import migrations, models

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import StateApps


def make_keys_unique(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let a plain constraint do it where there are no partial indexes: that lets any number of NULLs in, too."""
    if not schema_editor.connection.features.supports_partial_indexes:
        constraint = models.UniqueConstraint(fields=["unique_key"], name="scalekit_queue_unique")
        schema_editor.add_constraint(apps.get_model("scalekit_queue", "TaskRecord"), constraint)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=255)),
                ("until", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Limit",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("theoretical_arrival", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PausedQueue",
            fields=[
                ("queue_name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("by", models.CharField(default="", max_length=255)),
            ],
            options={
                "verbose_name": "queue",
                "verbose_name_plural": "queues",
            },
        ),
        migrations.CreateModel(
            name="CronEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                (
                    "schedule",
                    models.CharField(
                        help_text="The cron expression and the time zone.", max_length=255
                    ),
                ),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name": "cron entry",
                "verbose_name_plural": "cron entries",
                "default_permissions": ("view", "change"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("name", "schedule"), name="scalekit_queue_entry"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CronSlot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("due_at", models.DateTimeField()),
                ("job", models.UUIDField(null=True)),
                (
                    "fired_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("name", "due_at"), name="scalekit_queue_slot")
                ],
            },
        ),
        migrations.CreateModel(
            name="InboxEntry",
            fields=[
                ("key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                (
                    "happened_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["happened_at"], name="scalekit_queue_inbox")],
            },
        ),
        migrations.CreateModel(
            name="LimitHolder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("place", models.IntegerField()),
                ("holder", models.CharField(max_length=64)),
                ("until", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("name", "place"), name="scalekit_queue_place")
                ],
            },
        ),
        migrations.CreateModel(
            name="LimitWaiter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("job", models.UUIDField(unique=True)),
                ("database", models.CharField(help_text="That has its row.", max_length=255)),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "called_at",
                    models.DateTimeField(
                        help_text="When a place was free for it that it has not taken yet.",
                        null=True,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["name", "id"], name="scalekit_queue_waiters")],
            },
        ),
        migrations.CreateModel(
            name="TaskGroup",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("size", models.IntegerField()),
                ("pending", models.IntegerField()),
                ("failed", models.IntegerField(db_default=0, default=0)),
                ("on_success", models.JSONField(null=True)),
                ("on_failure", models.JSONField(null=True)),
                ("on_finish", models.JSONField(null=True)),
                (
                    "flow",
                    models.JSONField(
                        help_text="The steps that follow, where it is one itself.", null=True
                    ),
                ),
                (
                    "group",
                    models.UUIDField(
                        help_text="The group of which this one is a member.", null=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("group__isnull", False)),
                        fields=["group"],
                        name="scalekit_queue_nested",
                    ),
                    models.Index(
                        condition=models.Q(("finished_at__isnull", False)),
                        fields=["finished_at"],
                        name="scalekit_queue_over",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        help_text="Version 7; the message's and the result's too.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("task", "Task"), ("actor", "Dramatiq actor")],
                        default="task",
                        max_length=8,
                    ),
                ),
                (
                    "path",
                    models.CharField(
                        help_text="Where the Task is, or the actor's name; empty for an unreadable message.",
                        max_length=255,
                    ),
                ),
                ("queue_name", models.CharField(max_length=255)),
                (
                    "priority",
                    models.SmallIntegerField(
                        default=0, help_text="-100 to 100; larger goes first."
                    ),
                ),
                (
                    "backend",
                    models.CharField(default="", help_text="Alias in TASKS.", max_length=255),
                ),
                ("args", models.JSONField(default=list)),
                ("kwargs", models.JSONField(default=dict)),
                (
                    "options",
                    models.JSONField(
                        default=dict, help_text="Of the message, the facts among them."
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("READY", "Ready"),
                            ("RUNNING", "Running"),
                            ("SUCCESSFUL", "Successful"),
                            ("FAILED", "Failed"),
                        ],
                        default="READY",
                        max_length=10,
                    ),
                ),
                (
                    "kept",
                    models.BooleanField(
                        db_default=True, default=True, help_text="False: gone once it is published."
                    ),
                ),
                ("publish_at", models.DateTimeField(null=True)),
                ("publications", models.IntegerField(db_default=0, default=0)),
                (
                    "enqueued_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("run_after", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("last_attempted_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="When a finished job may be forgotten.", null=True
                    ),
                ),
                (
                    "attempt",
                    models.IntegerField(
                        db_default=0, default=0, help_text="Times that it was begun."
                    ),
                ),
                (
                    "deaths",
                    models.SmallIntegerField(
                        db_default=0, default=0, help_text="Workers that died while they ran it."
                    ),
                ),
                (
                    "forgiven",
                    models.IntegerField(
                        db_default=0,
                        default=0,
                        help_text="Attempts that count no more, as an operator has run the dead letter again.",
                    ),
                ),
                ("leased_until", models.DateTimeField(null=True)),
                ("cancel_asked", models.BooleanField(db_default=False, default=False)),
                ("worker_ids", models.JSONField(default=list)),
                (
                    "errors",
                    models.JSONField(
                        default=list,
                        help_text="One for each attempt that raised: exception_class_path, traceback, at.",
                    ),
                ),
                ("return_value", models.JSONField(null=True)),
                ("progress", models.JSONField(help_text="Done, total and a message.", null=True)),
                (
                    "raw",
                    models.TextField(
                        db_default="", default="", help_text="A message that could not be read."
                    ),
                ),
                (
                    "unique_key",
                    models.CharField(
                        help_text="SHA-256; null once it is free again.", max_length=64, null=True
                    ),
                ),
                ("unique_until", models.DateTimeField(null=True)),
                ("group", models.UUIDField(null=True)),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "permissions": (
                    ("requeue_taskrecord", "Can run dead letters again"),
                    ("cancel_taskrecord", "Can cancel jobs"),
                ),
                "indexes": [
                    models.Index(
                        condition=models.Q(("publish_at__isnull", False)),
                        fields=["publish_at"],
                        name="scalekit_queue_outbox",
                    ),
                    models.Index(
                        condition=models.Q(("status", "RUNNING")),
                        fields=["leased_until"],
                        name="scalekit_queue_leased",
                    ),
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="scalekit_queue_expiry",
                    ),
                    models.Index(
                        condition=models.Q(("status", "FAILED")),
                        fields=["-finished_at"],
                        name="scalekit_queue_dead",
                    ),
                    models.Index(
                        condition=models.Q(("group__isnull", False)),
                        fields=["group"],
                        name="scalekit_queue_group",
                    ),
                ],
            },
        ),
        # Not with its table, since Django then runs the statement None where there are no partial indexes.
        migrations.AddConstraint(
            model_name="taskrecord",
            constraint=models.UniqueConstraint(
                condition=models.Q(("unique_key__isnull", False)),
                fields=("unique_key",),
                name="scalekit_queue_unique",
            ),
        ),
        migrations.RunPython(
            make_keys_unique,
            migrations.RunPython.noop,
            atomic=False,  # beyond that of the migration: MySQL changes no table in a transaction
            hints={"model_name": "taskrecord"},
        ),
    ]
