"""What the tests of splitting ask of a site."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command
from django.db import connections
from django.db.models import QuerySet

from scalekit.db.conf import schemes
from scalekit.db.sharding.splitting.capturing import start_capturing
from scalekit.db.sharding.splitting.copying import Mover
from scalekit.db.sharding.splitting.tables import tables_of
from scalekit.db.sharding.splitting.verifying import Verifier

CUSTOMERS = 40


def shop():
    from tests.db.shop import models

    return models


def rows(model, alias):
    """Return the rows of a model on one database, whatever the router says."""
    return QuerySet(model, using=alias)


def mover():
    return Mover("users", schemes["users"], tables_of("users"), "default")


def captured():
    found = mover()
    start_capturing("users", found.tables, connections["default"])
    return found


def run(*arguments):
    out = StringIO()
    call_command("shard_tables", *arguments, stdout=out, stderr=StringIO(), no_color=True)
    return out.getvalue()


def places(model):
    """Return id -> the shards that have it."""
    found = {}
    for alias in schemes["users"].shards:
        for pk in rows(model, alias).values_list("pk", flat=True):
            found.setdefault(pk, []).append(alias)
    return found


def differences(found):
    verifier = Verifier(found)
    for _ in verifier.walk(chunk=30):
        pass
    return [(d.table, d.row, d.what) for d in verifier.differences]
