"""Django's PostgreSQL backend, with replicas that may fail and a primary that may move.

A database with one host, no replicas and no discovery is Django's, unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.backends.postgresql import hangs  # noqa: F401 - it listens
from scalekit.db.backends.postgresql.connecting import Connecting
from scalekit.db.backends.postgresql.cursors import ReadCursor
from scalekit.db.backends.postgresql.failures import ReplicaAvoided
from scalekit.db.backends.postgresql.guard import GuardedNamed, guarded
from scalekit.db.cluster import current_cluster
from scalekit.db.conf import discoveries
from scalekit.db.rotation import rotation
from scalekit.db.servers import may_answer

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

READ_ONLY = "-c default_transaction_read_only=on"


class DatabaseWrapper(Connecting):
    """A connection; to a replica, one that only reads and whose reads survive the replica."""

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if self.replica_of:
            # The server refuses writes, even if this "replica" was promoted or is no standby at all.
            params["options"] = f"{params.get('options', '')} {READ_ONLY}".strip()
            params["cursor_factory"] = guarded(params["cursor_factory"])
        return params

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = super().create_cursor(name)
        return GuardedNamed(cursor) if name and self.replica_of else cursor

    def cursor(self) -> Any:
        return ReadCursor(self, chunked=False) if self._reads_may_move() else super().cursor()

    def chunked_cursor(self) -> Any:
        return (
            ReadCursor(self, chunked=True) if self._reads_may_move() else super().chunked_cursor()
        )

    def plain_cursor(self, *, chunked: bool) -> CursorWrapper:
        """Open a cursor here and nowhere else. Raises `ReplicaAvoided` while out of rotation."""
        if not rotation.admit(self.alias) or not self._is_fit():
            raise ReplicaAvoided(f"Replica {self.alias} is out of rotation.")
        self._renew()
        self._opening = True  # connecting opens cursors of its own
        try:
            return super().chunked_cursor() if chunked else super().cursor()
        finally:
            self._opening = False

    def other_servers(self) -> list[Any]:
        """Return the connections to ask instead: other replicas in rotation, then the primary."""
        primary = current_cluster().primaries[self.replica_of or self.alias]
        others = [r.alias for r in primary.replicas if r.alias != self.alias]
        usable = [alias for alias in others if may_answer(alias)]
        return [connections[alias] for alias in (*usable, primary.alias)]

    def _is_fit(self) -> bool:
        """Return whether discovery, where there is one, lets this replica be read from."""
        if self.replica_of is None or self.replica_of not in discoveries:
            return True
        address = str(self.settings_dict["HOST"]), str(self.settings_dict["PORT"] or 5432)
        return discoveries[self.replica_of].is_fit(address)

    def _reads_may_move(self) -> bool:
        if self._opening or not self.moves_reads:
            return False
        return bool(self.replica_of) and not self.in_atomic_block
