"""Other databases for a while, in this process: what the tests of `scalekit.db` stand on."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import lru_cache

from asgiref.sync import SyncToAsync
from django.apps import apps
from django.db import connections, router, transaction
from django.test import override_settings

from scalekit.db.backends.postgresql.timelines import timelines
from scalekit.db.cluster import forget_cluster
from scalekit.db.monitor.watching import monitor
from scalekit.db.outage.state import outages
from scalekit.db.rotation import rotation

ROUTER = ["scalekit.db.router.Router"]


@contextmanager
def databases(entries, **settings):
    """Let Django know `entries` alone as DATABASES, with a router and other `settings`."""
    before = connections.settings
    _replace(connections.configure_settings(entries))
    try:
        with override_settings(**{"DATABASE_ROUTERS": ROUTER, **settings}):
            forget_cluster()
            rotation.forget()
            yield
    finally:
        _replace(before)
        rotation.forget()


def _replace(settings):
    monitor.stop()
    outages.forget()
    timelines.forget()
    _forget_connections()
    # The thread of coroutines lives as long as the process, and its connections as long as the thread.
    SyncToAsync.single_thread_executor.submit(_forget_connections).result()
    connections.settings = settings
    forget_cluster()


def _forget_connections():
    for alias in connections.settings:
        if hasattr(connections._connections, alias):
            connections[alias].close()
            if getattr(connections[alias], "pool", None):
                connections[alias].close_pool()
            del connections[alias]


def create_tables(*aliases, app="shop"):
    """Create the tables of an app that belong on each database, as `migrate` would."""
    for alias in aliases:
        models = tuple(router.get_migratable_models(apps.get_app_config(app), alias))
        connection = connections[alias]
        sql = _definitions(connection.vendor, models, alias)
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.executescript(f"BEGIN;{sql}COMMIT;")
            elif sql:
                cursor.execute(sql)


@lru_cache
def _definitions(vendor, models, alias):
    """Return the SQL that creates tables: most tests have the same ones."""
    with connections[alias].schema_editor(collect_sql=True) as editor:
        for model in models:
            editor.create_model(model)
    return "".join(editor.collected_sql)


def sharding(*shards, slots=4096):
    return {
        "users": {
            "BACKEND": "scalekit.db.sharding.slots.Slots",
            "OPTIONS": {"shards": list(shards), "slots": slots},
        }
    }


def sqlite(path, **extra):
    """A file that is not for keeping: nobody waits until it is on the disk."""
    options = {"init_command": "PRAGMA synchronous = OFF"}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": options,
        **extra,
    }


def replica_of(primary, **options):
    return {"REPLICA_OF": primary, **options}


class Interruption(Exception):
    pass


@contextmanager
def rolled_back(using="default"):
    """A transaction, or savepoint, that comes to nothing."""
    with suppress(Interruption), transaction.atomic(using=using):
        yield
        raise Interruption
