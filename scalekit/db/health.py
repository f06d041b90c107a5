"""Are the databases there? Loaded by `scalekit.health` where that is installed."""

from __future__ import annotations

from typing import Any

from django.db import connections

from scalekit.db.cluster import current_cluster
from scalekit.health.base import Check

CONNECT_TIMEOUT = 1  # seconds, within the check's own


class DatabaseCheck(Check):
    """One database answers SELECT 1, on a connection of its own that no request waits for."""

    def __init__(self, alias: str, *, critical: bool) -> None:
        self.name, self.alias, self.critical = f"database {alias}", alias, critical

    def run(self) -> None:
        connection: Any = connections.create_connection(self.alias)
        connection.moves_reads = False  # another server's answer would say nothing of this one
        if connection.vendor == "postgresql":
            connection.settings_dict = _for_one_query(connection.settings_dict)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()


def _for_one_query(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without a pool, which would lend an old connection, and with little patience."""
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    return {**settings, "OPTIONS": {**options, "connect_timeout": CONNECT_TIMEOUT}}


def checks() -> list[Check]:
    """Return critical checks for the primaries, and others for what the site can do without.

    A replica's reads go elsewhere. A shard that is gone harms its own users only: taking every web server
    out of the load balancer for it would harm all the others too.
    """
    cluster = current_cluster()
    return [
        DatabaseCheck(alias, critical=alias == owner and alias not in cluster.shard_aliases)
        for alias, owner in cluster.owner.items()
    ]
