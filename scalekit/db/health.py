"""Are the databases there? Loaded by `scalekit.health` where that is installed."""

from __future__ import annotations

from django.db import connections

from scalekit.db.cluster import current_cluster
from scalekit.health.base import Check

CONNECT_TIMEOUT = 1  # seconds, within the check's own


class DatabaseCheck(Check):
    """One database answers SELECT 1, on a connection of its own that no request waits for."""

    def __init__(self, alias: str, *, critical: bool) -> None:
        self.name, self.alias, self.critical = f"database {alias}", alias, critical

    def run(self) -> None:
        connection = connections.create_connection(self.alias)
        options = dict(connection.settings_dict["OPTIONS"])
        if connection.vendor == "postgresql":
            # A pool would lend an old connection, which says little about a new one.
            options.pop("pool", None)
            options["connect_timeout"] = CONNECT_TIMEOUT
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
        # Not connection.cursor(): on a replica that would ask another server.
        connection.connect()
        try:
            with connection.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()


def checks() -> list[Check]:
    """Return a critical check for every primary, and one that only degrades for every replica."""
    cluster = current_cluster()
    primaries = [DatabaseCheck(alias, critical=True) for alias in cluster.primaries]
    replicas = [
        DatabaseCheck(replica.alias, critical=False)
        for primary in cluster.primaries.values()
        for replica in primary.replicas
    ]
    return [*primaries, *replicas]
