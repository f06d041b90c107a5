"""Django's PostgreSQL backend, with replicas that may fail.

On an alias without SCALEKIT REPLICA_OF it is Django's, unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.postgresql import base

from scalekit.db.backends.postgresql.cursors import ReadCursor
from scalekit.db.backends.postgresql.failures import ReplicaAvoided
from scalekit.db.cluster import current_cluster
from scalekit.db.rotation import rotation

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

CONNECT_TIMEOUT = 2  # seconds; libpq waits two minutes for a host that is gone
READ_ONLY = "-c default_transaction_read_only=on"


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection; to a replica, one that only reads and whose reads survive the replica."""

    @property
    def replica_of(self) -> str | None:
        """The alias of the primary, None on a primary."""
        return (self.settings_dict.get("SCALEKIT") or {}).get("REPLICA_OF")

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if self.replica_of:
            params.setdefault("connect_timeout", CONNECT_TIMEOUT)
            # The server refuses writes, even if this "replica" was promoted or is no standby at all.
            params["options"] = f"{params.get('options', '')} {READ_ONLY}".strip()
        return params

    @property
    def pool(self) -> Any:
        pool = super().pool
        options = self.settings_dict["OPTIONS"].get("pool")
        if pool is not None and self.replica_of and "timeout" not in dict(_as_dict(options)):
            pool.timeout = CONNECT_TIMEOUT
        return pool

    moves_reads = True  # False for whoever must hear that this very server is gone
    _opening = False

    def cursor(self) -> Any:
        return ReadCursor(self, chunked=False) if self._reads_may_move() else super().cursor()

    def chunked_cursor(self) -> Any:
        return (
            ReadCursor(self, chunked=True) if self._reads_may_move() else super().chunked_cursor()
        )

    def plain_cursor(self, *, chunked: bool) -> CursorWrapper:
        """Open a cursor here and nowhere else. Raises `ReplicaAvoided` while out of rotation."""
        if not rotation.admit(self.alias):
            raise ReplicaAvoided(f"Replica {self.alias} is out of rotation.")
        self._opening = True  # connecting opens cursors of its own
        try:
            return super().chunked_cursor() if chunked else super().cursor()
        finally:
            self._opening = False

    def other_servers(self) -> list[Any]:
        """Return the connections to ask instead: other replicas in rotation, then the primary."""
        primary = current_cluster().primaries[self.replica_of or self.alias]
        others = [r.alias for r in primary.replicas if r.alias != self.alias]
        usable = [alias for alias in others if rotation.usable(alias)]
        return [connections[alias] for alias in (*usable, primary.alias)]

    def _reads_may_move(self) -> bool:
        if self._opening or not self.moves_reads:
            return False
        return bool(self.replica_of) and not self.in_atomic_block


def _as_dict(options: Any) -> dict[str, Any]:
    return options if isinstance(options, dict) else {}
