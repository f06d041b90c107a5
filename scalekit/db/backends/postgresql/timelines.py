"""Which server is the real one: every promotion begins a new timeline, and the old one is over.

An old primary that comes back after its replica was promoted takes writes as before. Nothing but the
number of its timeline shows that they would be lost.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

from scalekit.db.backends.postgresql.sockets import lines
from scalekit.db.events import PRIMARY_MOVED, SPLIT_BRAIN
from scalekit.db.exceptions import StalePrimary

IDENTITY = """\
SELECT (SELECT system_identifier FROM pg_control_system()), CASE WHEN NOT pg_is_in_recovery() THEN
('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A primary's cluster and timeline; zeros where the server does not tell."""

    system: int = 0
    timeline: int = 0


def identify(connection: Any) -> Identity:
    """Ask a new connection in autocommit mode. A standby has no timeline of its own to tell."""
    try:
        system, timeline = connection.execute(IDENTITY).fetchone()
    except connection.Error:
        if connection.closed:
            raise
        return Identity()  # a service that only resembles PostgreSQL
    return Identity(system, timeline or 0)


class Timelines:
    """The newest timeline of each cluster that this process has met."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[int, int] = {}

    def newest(self, system: int) -> int:
        """Return the newest timeline known of a cluster, 0 if none is."""
        return self._newest.get(system, 0)

    def saw(self, system: int, timeline: int) -> bool:
        """Take note of a timeline; return whether it is still the newest.

        A newer one ends this process's connections to the servers it leaves behind.
        """
        if not timeline:
            return True
        with self._lock:
            before = self._newest.get(system, 0)
            if timeline >= before:
                self._newest[system] = timeline
        if before and timeline > before:
            cut = lines.cut_older(system, timeline)
            PRIMARY_MOVED.emit(system=system, timeline=timeline, connections=cut)
        return timeline >= before

    def require_newest(self, alias: str, connection: Any, identity: Identity) -> None:
        """Raise `StalePrimary` for a server whose timeline has ended."""
        if self.saw(identity.system, identity.timeline):
            return
        where = f"{connection.info.host}:{connection.info.port}"
        newest = self.newest(identity.system)
        SPLIT_BRAIN.emit(alias=alias, host=where, timeline=identity.timeline, newest=newest)
        raise StalePrimary(
            f"{where} takes writes on timeline {identity.timeline}, which ended when another server was promoted to "
            f"timeline {newest}: what is written there would be lost. Stop it and bring it back as a standby "
            "(pg_rewind). If you went back in time on purpose, restart this process."
        )

    def forget(self) -> None:
        self._newest.clear()

    def forget_after_fork(self) -> None:
        """Make a new lock: one that another thread of the parent held stays locked in the child."""
        self._lock = threading.Lock()


timelines = Timelines()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=timelines.forget_after_fork)
