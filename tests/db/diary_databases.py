"""The diary's databases before they are migrated, and commands run on them."""

from __future__ import annotations

from contextlib import contextmanager
from io import StringIO

from django.core.management import call_command
from django.test import override_settings

from tests.db.databases import create_tables, databases, sharding, sqlite
from tests.db.diary import hooks

APPS = ["django.contrib.contenttypes", "scalekit.db", "tests.db.diary"]


@contextmanager
def diary(entries, shards, *, ledger=True, more_apps=(), **settings):
    """Let Django know empty databases, the ledger's tables apart, and the diary alone of all apps with shards."""
    settings = {"SCALEKIT_DB_SHARDING": sharding(*shards), **settings}
    with override_settings(INSTALLED_APPS=[*APPS, *more_apps]), databases(entries, **settings):
        if ledger:
            create_tables("default", app="scalekit_db")
        yield
    hooks.clear()


def on_sqlite(folder, *names):
    return {name: sqlite(folder / f"{name}.sqlite3") for name in ("default", *names)}


def run(*arguments, **options):
    out = StringIO()
    call_command(*arguments, **{"stdout": out, **options})
    return out.getvalue()
