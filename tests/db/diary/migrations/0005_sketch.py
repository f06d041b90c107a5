from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("diary", "0004_without_a_hint"),)

    operations = (
        migrations.DeleteModel("Sketch"),
        migrations.RunSQL(  # which would fail on default
            "UPDATE diary_entry SET words = words",
            migrations.RunSQL.noop,
            hints={"shard_group": "users"},
        ),
    )
