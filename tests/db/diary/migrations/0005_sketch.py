from __future__ import annotations

from django.db import migrations

DROP = "DROP TABLE IF EXISTS diary_doodle"


class Migration(migrations.Migration):
    dependencies = (("diary", "0004_without_a_hint"),)

    operations = (
        migrations.DeleteModel("Sketch"),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(DROP, migrations.RunSQL.noop, hints={"shard_group": "users"}),
                migrations.RunSQL(DROP, migrations.RunSQL.noop, hints={"shard_group": None}),
            ],
            [migrations.DeleteModel("Doodle")],
        ),
        migrations.RunSQL(  # which would fail on default
            "UPDATE diary_entry SET words = words",
            migrations.RunSQL.noop,
            hints={"shard_group": "users"},
        ),
    )
