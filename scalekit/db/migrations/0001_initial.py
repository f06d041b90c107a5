from __future__ import annotations

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="IdLease",
            fields=[
                ("number", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=32)),
                ("until_ms", models.BigIntegerField()),
            ],
            options={
                "verbose_name": "lease of ids",
                "verbose_name_plural": "leases of ids",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ReferenceLock",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                (
                    "taken_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ShardMap",
            fields=[
                (
                    "group",
                    models.CharField(
                        db_column="shard_group", max_length=100, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.BigIntegerField()),
                ("assignments", models.JSONField()),
                ("boundaries", models.JSONField(default=list)),
                ("live", models.BooleanField(default=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="TransactionDecision",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("group", models.CharField(max_length=100)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("commit", "Commit"), ("rollback", "Roll back")], max_length=8
                    ),
                ),
                (
                    "decided_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KeyTraffic",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("process", models.CharField(max_length=100)),
                ("group", models.CharField(db_column="shard_group", max_length=100)),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(db_index=True)),
                ("total", models.BigIntegerField()),
                ("keys", models.JSONField(db_column="shard_keys", default=list)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("process", "group"), name="scalekit_db_traffic_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReferenceChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("shard", models.CharField(max_length=100)),
                (
                    "table",
                    models.CharField(help_text="The model, as in shop.currency.", max_length=200),
                ),
                (
                    "keys",
                    models.JSONField(help_text="Primary keys; null: the whole table.", null=True),
                ),
                (
                    "changed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["shard", "id"], name="scalekit_db_reference_shard")
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardLookup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.CharField(max_length=255)),
                ("field", models.CharField(max_length=63)),
                ("digest", models.CharField(max_length=64)),
                ("shard_key", models.CharField(max_length=255)),
                ("row_id", models.CharField(max_length=255)),
            ],
            options={
                "verbose_name": "value that is unique across shards",
                "verbose_name_plural": "values that are unique across shards",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["model", "field", "row_id"], name="scalekit_db_lookup_row")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "field", "digest"), name="scalekit_db_lookup_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardMapKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group", models.CharField(db_column="shard_group", max_length=100)),
                ("key", models.CharField(db_column="shard_key", max_length=255)),
                ("shard", models.CharField(max_length=100)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("group", "key"), name="scalekit_db_key_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardMigration",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("alias", models.CharField(max_length=255)),
                ("app", models.CharField(max_length=255)),
                ("name", models.CharField(max_length=255)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("undone", "Undone"),
                            ("failed", "Failed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("seconds", models.FloatField(null=True)),
                ("error", models.TextField(blank=True, default="")),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("alias", "app", "name"), name="scalekit_db_shardmigration_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SplitTable",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group", models.CharField(db_column="shard_group", max_length=100)),
                ("table", models.CharField(max_length=100)),
                ("last_id", models.TextField(blank=True)),
                ("copied", models.BigIntegerField(default=0)),
                ("done", models.BooleanField(default=False)),
                ("verified_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("group", "table"), name="scalekit_db_split_once"
                    )
                ],
            },
        ),
    ]
