from __future__ import annotations

import uuid

from django.db import migrations, models

import scalekit.db

MANAGERS = (("objects", models.Manager()), ("sharded_base", models.Manager()))


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            "Writer",
            [
                (
                    "id",
                    models.BigAutoField(
                        primary_key=True, auto_created=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=50)),
                ("entries", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            "Entry",
            [
                (
                    "id",
                    scalekit.db.SnowflakeField(
                        primary_key=True,
                        serialize=False,
                        shard_group="users",
                        shard_key="writer_id",
                    ),
                ),
                ("writer_id", models.BigIntegerField()),
                ("text", models.CharField(max_length=100)),
            ],
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Sticker",
            [
                ("id", models.UUIDField(primary_key=True, default=uuid.uuid4, serialize=False)),
                ("writer_id", models.BigIntegerField()),
                ("entry", models.ForeignKey("diary.Entry", models.CASCADE, null=True)),
            ],
            {"base_manager_name": "sharded_base"},
            managers=MANAGERS,
        ),
        migrations.CreateModel(  # whose class is gone since
            "Sketch",
            [
                (
                    "id",
                    scalekit.db.SnowflakeField(
                        primary_key=True,
                        serialize=False,
                        shard_group="users",
                        shard_key="writer_id",
                    ),
                ),
                ("writer_id", models.BigIntegerField()),
            ],
            {"base_manager_name": "sharded_base"},
            managers=MANAGERS,
        ),
        migrations.CreateModel(  # gone too, and its id says nothing of its group
            "Doodle",
            [("id", models.UUIDField(primary_key=True, default=uuid.uuid4, serialize=False))],
            {"base_manager_name": "sharded_base"},
            managers=MANAGERS,
        ),
        migrations.AddIndex(
            "entry", models.Index(fields=["writer_id", "-id"], name="entry_of_writer")
        ),
    )
