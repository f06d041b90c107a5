from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Epoch",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("number", models.BigIntegerField(default=0)),
                ("distrusted_until", models.DateTimeField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("data", models.TextField()),
                ("version", models.BigIntegerField(default=1)),
                ("owner", models.CharField(default="", help_text="The user's id.", max_length=255)),
                ("created", models.DateTimeField()),
                ("saved", models.DateTimeField()),
                ("expires", models.DateTimeField()),
                ("ended", models.BooleanField(default=False, help_text="A tombstone.")),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "indexes": [
                    models.Index(fields=["expires"], name="scalekit_session_expires"),
                    models.Index(
                        condition=models.Q(("owner", ""), _negated=True),
                        fields=["owner"],
                        name="scalekit_session_owner",
                    ),
                ],
            },
        ),
    )
