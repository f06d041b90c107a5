from __future__ import annotations

from django.db import migrations, models


def count_words(apps, schema_editor):
    """Name no database: as a project wrote it before it had shards."""
    for entry in apps.get_model("diary", "Entry").objects.all():
        entry.words = len(entry.text.split())
        entry.save()


class Migration(migrations.Migration):
    dependencies = (("diary", "0001_initial"),)

    operations = (
        migrations.AddField("entry", "words", models.IntegerField(default=0)),
        migrations.RunPython(count_words, migrations.RunPython.noop, hints={"model_name": "entry"}),
    )
