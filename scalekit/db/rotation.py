"""Which replicas answer, as this process has seen."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from scalekit.db.conf import settings
from scalekit.db.events import REPLICA_DOWN, REPLICA_UP

if TYPE_CHECKING:
    from collections.abc import Callable


class Rotation:
    """Leave failed replicas alone for RETRY_SECONDS; then let one read try, not all of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: dict[str, float] = {}

    @property
    def troubled(self) -> bool:
        """Whether any replica is out: rarely, so that nobody needs to ask for each."""
        return bool(self._retry_at)

    def usable(self, alias: str) -> bool:
        """Return whether a read may be routed to a replica: it is well, or due for a trial."""
        return self._clock() >= self._retry_at.get(alias, 0)

    def admit(self, alias: str) -> bool:
        """Return whether this very read may try a replica; the first one of a trial alone may."""
        if alias not in self._retry_at:
            return True
        with self._lock:
            due = self._clock() >= self._retry_at.get(alias, 0)
            if due and alias in self._retry_at:
                self._retry_at[alias] = self._clock() + settings.RETRY_SECONDS
            return due

    def down(self, alias: str, error: BaseException) -> None:
        """Take a replica out."""
        with self._lock:
            was_well = alias not in self._retry_at
            self._retry_at[alias] = self._clock() + settings.RETRY_SECONDS
        if was_well:
            REPLICA_DOWN.emit(alias=alias, error=str(error).strip())

    def up(self, alias: str) -> None:
        """Bring a replica back."""
        if alias in self._retry_at and self._retry_at.pop(alias, None) is not None:
            REPLICA_UP.emit(alias=alias)

    def forget(self) -> None:
        self._retry_at.clear()


rotation = Rotation()
