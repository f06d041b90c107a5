"""The club on a default database and shards of two groups, and the same on one database."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.test import override_settings

from tests.db.databases import create_tables, databases, sharding, sqlite

APP = "tests.db.club"


def club():
    from tests.db.club import models

    return models


@contextmanager
def installed():
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, APP]):
        yield


def groups(*shards):
    """Return the setting: members spread over all shards, badges on the last alone."""
    regions = {"regions": sharding(shards[-1])["users"]}
    return sharding(*shards) | regions


@contextmanager
def club_databases(entries, *shards):
    """Let Django know these databases, with the tables of the club and of scalekit on each where they belong."""
    setting = groups(*shards) if shards else {}
    once = nullcontext() if apps.is_installed(APP) else installed()
    with once, databases(entries, SCALEKIT_DB_SHARDING=setting):
        if not connections["default"].introspection.table_names():
            for app in ("club", "scalekit_db"):
                create_tables(*entries, app=app)
        yield


def files(tmp_path, *aliases):
    return {alias: sqlite(tmp_path / f"{alias}.sqlite3") for alias in aliases}
