"""Which replicas answer, as reads and the monitor of this process have seen."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from scalekit.db.conf import settings
from scalekit.db.events import REPLICA_DOWN, REPLICA_UP

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = "failed"  # a read, as opposed to what the monitor finds
SILENT = frozenset({"unreachable", "hung"})  # who is not even asked


class Rotation:
    """Leave failed replicas alone for RETRY_SECONDS; then let one read try, not all of them.

    What the monitor condemns is out until the monitor acquits it, within one probe of its recovery.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: dict[str, float] = {}
        self._condemned: dict[str, str] = {}

    @property
    def troubled(self) -> bool:
        """Whether any replica is out: rarely, so that nobody needs to ask for each."""
        return bool(self._retry_at or self._condemned)

    def usable(self, alias: str) -> bool:
        """Return whether a read may be routed to a replica: it is well, or due for a trial."""
        return alias not in self._condemned and self._clock() >= self._retry_at.get(alias, 0)

    def admit(self, alias: str) -> bool:
        """Return whether this very read may try a replica; the first one of a trial alone may.

        One that lags answers whoever names it; one that does not answer is not asked.
        """
        if self._condemned.get(alias) in SILENT:
            return False
        if alias not in self._retry_at:
            return True
        with self._lock:
            due = self._clock() >= self._retry_at.get(alias, 0)
            if due and alias in self._retry_at:
                self._retry_at[alias] = self._clock() + settings.RETRY_SECONDS
            return due

    def down(self, alias: str, error: BaseException) -> None:
        """Take out a replica that has failed a read."""
        with self._lock:
            was_well = self._is_well(alias)
            self._retry_at[alias] = self._clock() + settings.RETRY_SECONDS
        if was_well:
            REPLICA_DOWN.emit(alias=alias, reason=FAILED, error=str(error).strip())

    def up(self, alias: str) -> None:
        """Bring back a replica that has answered a read."""
        if alias in self._retry_at and self._retry_at.pop(alias, None) is not None:
            self._announce_up(alias)

    def judge(self, alias: str, reason: str) -> None:
        """Take a replica out for `reason`, or bring it back if that is empty."""
        if reason == self._condemned.get(alias, ""):
            return
        with self._lock:
            was_well = self._is_well(alias)
            before = self._condemned.pop(alias, None)
            if reason:
                self._condemned[alias] = reason
            elif before in SILENT:
                self._retry_at.pop(alias, None)  # what the reads met is over, too
        if reason and was_well:
            REPLICA_DOWN.emit(alias=alias, reason=reason, error="")
        elif not reason:
            self._announce_up(alias)

    def acquit_all(self) -> None:
        """Bring back whom the monitor condemned: nobody watches them any more."""
        for alias in list(self._condemned):
            self.judge(alias, "")

    def why(self, alias: str) -> str:
        """Return why a replica is out of rotation; empty for one that is well."""
        return self._condemned.get(alias) or (FAILED if alias in self._retry_at else "")

    def forget(self) -> None:
        self._retry_at.clear()
        self._condemned.clear()

    def forget_after_fork(self) -> None:
        """Keep what reads have met, and nothing of a monitor that this process does not have."""
        self._lock = threading.Lock()
        self._condemned.clear()

    def _is_well(self, alias: str) -> bool:
        return alias not in self._retry_at and alias not in self._condemned

    def _announce_up(self, alias: str) -> None:
        if self._is_well(alias):
            REPLICA_UP.emit(alias=alias)


rotation = Rotation()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=rotation.forget_after_fork)
