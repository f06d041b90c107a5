"""Keys and ids that are texts, columns that the database computes, and names with capital letters."""

from __future__ import annotations

import pytest
from django.db import connections, models
from django.test.utils import isolate_apps

from scalekit.db import ShardedModel
from scalekit.db.conf import schemes
from scalekit.db.sharding.splitting.capturing import start_capturing
from scalekit.db.sharding.splitting.copying import Mover
from scalekit.db.sharding.splitting.tables import Table, _key, _written
from tests.integration.db.splitting.site import differences, rows

SLUGS = ("", "a\tb", "a\\nb", "back\\", "é", "line\nline", "Z" * 150, "it's", "{}", "07")


@pytest.fixture
def shelf(configuration):
    """A table of the group, on each database, and its model."""
    with isolate_apps("tests.db.shop"):

        class Shelf(ShardedModel):
            slug = models.CharField(primary_key=True, max_length=200)
            owner = models.CharField(max_length=50)
            width = models.IntegerField(null=True)
            area = models.GeneratedField(
                expression=models.F("width") * 2,
                output_field=models.IntegerField(),
                db_persist=True,
            )

            shard_group, shard_key = "users", "owner"

            class Meta:
                app_label, db_table = "shop", "Shop Shelf"

        for alias in ("default", *schemes["users"].shards):
            with connections[alias].schema_editor() as editor:
                editor.create_model(Shelf)
        yield Shelf
        for alias in schemes["users"].shards:  # these databases outlive the test
            with connections[alias].schema_editor() as editor:
                editor.delete_model(Shelf)


def test_texts_and_computed_columns_arrive_as_they_are(shelf):
    table = Table(shelf, "__".join(_key(shelf)), tuple(f.column for f in _written(shelf)))
    found = Mover("users", schemes["users"], [table], "default")
    there = rows(shelf, "default")
    there.bulk_create(shelf(slug=slug, owner=f"{slug[:9]} Ü\\", width=3) for slug in SLUGS)
    start_capturing("users", [table], connections["default"])
    for number, _ in enumerate(found.copy(chunk=3)):
        if number == 1:
            there.filter(slug="a\tb").update(slug="a\\tb", width=None)
            there.filter(slug="back\\").update(owner="another\t")
            there.filter(slug="").delete()
            there.create(slug="\\.", owner="\\N", width=1)
    found.catch_up()
    assert differences(found) == []
    copies = {
        (row.slug, row.owner, row.area)
        for alias in schemes["users"].shards
        for row in rows(shelf, alias)
    }
    assert copies == {(row.slug, row.owner, row.area) for row in there}
