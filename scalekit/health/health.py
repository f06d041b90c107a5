"""Checks of what every Django project has, for those whose app brings none of its own.

A check of the same name in another app's ``health.py`` takes the place of one of these: scalekit.db and
scalekit.cache know more of their servers.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections

from scalekit.health.base import Check

CONNECT_TIMEOUT = 1  # seconds; PostgreSQL's and MySQL's drivers both call it so
IN_PROCESS = ("LocMemCache", "DummyCache", "FileBasedCache")


class DatabaseCheck(Check):
    """One database answers SELECT 1, on a connection of its own that no request waits for."""

    def __init__(self, alias: str, *, critical: bool) -> None:
        self.name, self.alias, self.critical = f"database {alias}", alias, critical

    def run(self) -> None:
        connection: Any = connections.create_connection(self.alias)
        if connection.vendor == "sqlite" and connection.is_in_memory_db():
            return  # Django never closes one of these
        connection.settings_dict = _impatient(connection.vendor, connection.settings_dict)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()


class CacheCheck(Check):
    """A value just written can be read back. Without a cache the site is slower, not gone."""

    critical = False

    def __init__(self, alias: str) -> None:
        self.name, self.alias = f"cache {alias}", alias

    def run(self) -> None:
        cache, value = caches[self.alias], token_hex(8)
        cache.set(f"scalekit:health:{value}", value, 10)
        if cache.get(f"scalekit:health:{value}") != value:
            raise OSError("A value just written could not be read back.")


def checks() -> list[Check]:
    """Return one check for each database and each shared cache."""
    return [
        *(DatabaseCheck(alias, critical=not _is_replica(alias)) for alias in _databases()),
        *(CacheCheck(alias) for alias, config in settings.CACHES.items() if _is_shared(config)),
    ]


def _databases() -> list[str]:
    found: dict[str, Any] = connections.settings
    return [alias for alias, config in found.items() if not config["ENGINE"].endswith(".dummy")]


def _is_replica(alias: str) -> bool:
    """Tell whether another database can stand in: a replica mirrors its primary in tests, as Django advises."""
    config: dict[str, Any] = connections.settings[alias]
    return bool(config["TEST"].get("MIRROR") or config.get("SCALEKIT", {}).get("REPLICA_OF"))


def _is_shared(config: dict[str, Any]) -> bool:
    return not config["BACKEND"].endswith(IN_PROCESS)


def _impatient(vendor: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return settings without a pool, which would lend an old connection, and with little patience."""
    if vendor not in {"postgresql", "mysql"}:
        return config
    options = {name: value for name, value in config["OPTIONS"].items() if name != "pool"}
    return {**config, "OPTIONS": {**options, "connect_timeout": CONNECT_TIMEOUT}}
