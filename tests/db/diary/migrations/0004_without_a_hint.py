from __future__ import annotations

from django.db import migrations

from tests.db.diary import hooks


def run(apps, schema_editor):
    hooks.migrated_anywhere(schema_editor.connection.alias, apps)


class Migration(migrations.Migration):
    dependencies = (("diary", "0003_hook"),)

    operations = (migrations.RunPython(run, migrations.RunPython.noop),)
