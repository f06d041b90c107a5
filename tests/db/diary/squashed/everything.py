"""What `squashmigrations` makes of all the others."""

from __future__ import annotations

import uuid

from django.db import migrations, models

import scalekit.db

MANAGERS = (("objects", models.Manager()), ("sharded_base", models.Manager()))


class Migration(migrations.Migration):
    initial = True

    replaces = (
        ("diary", "0001_initial"),
        ("diary", "0002_words"),
        ("diary", "0003_hook"),
        ("diary", "0004_without_a_hint"),
        ("diary", "0005_sketch"),
    )

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
                ("words", models.IntegerField(default=0)),
            ],
            {
                "indexes": [models.Index(fields=["writer_id", "-id"], name="entry_of_writer")],
            },
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
    )
