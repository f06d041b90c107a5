"""Every way in which Django writes rows, each of them on the currencies EUR and USD."""

from __future__ import annotations

import json

from django.core import serializers
from django.db import connections

from scalekit.db.sharding.reference.noting import note


def write_create(model):
    model.objects.create(code="AAA")


def write_get_or_create(model):
    model.objects.get_or_create(code="AAA")


def write_update_or_create(model):
    model.objects.update_or_create(code="EUR", defaults={"rate": 3})


def write_bulk_create(model):
    model.objects.bulk_create([model(code="AAA"), model(code="BBB")])


def write_bulk_create_ignoring(model):
    model.objects.bulk_create([model(code="EUR"), model(code="BBB")], ignore_conflicts=True)


def write_bulk_create_updating(model):
    model.objects.bulk_create(
        [model(code="EUR", rate=9)],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["rate"],
    )


def write_update(model):
    model.objects.filter(code="EUR").update(code="XXX")


def write_bulk_update(model):
    found = list(model.objects.all())
    for number, row in enumerate(found):
        row.rate = number
    model.objects.bulk_update(found, ["rate"])


def write_delete(model):
    model.objects.filter(code="EUR").delete()


def write_cascade(model):
    from tests.db.market.models import Region

    Region.objects.all().delete()


def write_pairs(model):
    from tests.db.market.models import Region

    model.objects.get(code="EUR").accepted_in.set(Region.objects.all())


def write_delete_with_pairs(model):
    write_pairs(model)
    model.objects.get(code="EUR").delete()


def write_cascade_to_pairs(model):
    from tests.db.market.models import Region

    write_pairs(model)
    model.objects.update(region=None)
    Region.objects.all().delete()


def write_cascade_that_sets_null(model):
    from tests.db.market.models import Region

    region = Region.objects.create(name="south")
    model.objects.update(printed_in=region, rate=2)
    region.delete()


def write_fixture(model):
    fields = {"code": "AAA", "rate": "2", "changed_at": "2026-01-01T00:00:00Z"}
    text = json.dumps([{"model": "market.currency", "pk": 50, "fields": fields}])
    for row in serializers.deserialize("json", text, using="default"):
        row.save(using="default")


def write_raw(model):
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE market_currency SET rate = 5")
    note("default", model, None)


WRITES = [value for name, value in globals().items() if name.startswith("write_")]
