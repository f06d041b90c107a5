"""The photos' tables, in a database of their own for one test."""

from __future__ import annotations

from contextlib import contextmanager

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.test import override_settings

from tests.db.databases import databases, sqlite

APP = "tests.cache.shop"


@contextmanager
def photos_in(entries, *, routers=(), empty=True, **given):
    """Let Django know the photos' app and `entries` alone as DATABASES, with the tables in the `empty` ones."""
    apps_then = [*(app for app in settings.INSTALLED_APPS if app != APP), APP]
    installed = override_settings(INSTALLED_APPS=apps_then, **given)
    with installed, databases(entries, DATABASE_ROUTERS=routers):
        for alias in entries if empty else ():
            create_tables(alias)
        yield


def create_tables(alias):
    """Create what `migrate` would."""
    with connections[alias].schema_editor() as editor:
        for model in apps.get_app_config("gallery").get_models():
            if not model._meta.proxy:
                editor.create_model(model)


def files_in(folder, *aliases):
    return {alias: sqlite(folder / f"{alias}.sqlite3") for alias in aliases or ["default"]}


def valkey_cache(url):
    """Return an entry of CACHES; patient, since the machine that runs the tests may be busy."""
    options = {"SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": 2}
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": options}
