"""Leave a server alone that does not answer: at most one call in each window pays its time-out."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Breaker:
    """Closed (calls pass), open (none passes), half open (one call passes, as a probe).

    `window` returns the seconds for which it stays open.
    """

    def __init__(self, window: Callable[[], float], clock: Callable[[], float] = monotonic) -> None:
        self._window, self._clock, self._lock = window, clock, Lock()
        self._retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    def allows(self) -> bool:
        """Return whether a call may try; whoever gets True reports `succeeded` or `failed`."""
        return self._retry_at is None or self._probes()

    def succeeded(self) -> bool:
        """Close; return whether it was open."""
        if self._retry_at is None:
            return False
        with self._lock:
            was_open, self._retry_at = self.is_open, None
            return was_open

    def failed(self) -> bool:
        """Open for a window from now; return whether it was closed."""
        with self._lock:
            was_open, self._retry_at = self.is_open, self._clock() + self._window()
            return not was_open

    def _probes(self) -> bool:
        with self._lock:
            if self._retry_at is None:
                return True
            now = self._clock()
            due = now >= self._retry_at
            if due:  # the next probe is due a window later, should this one never report
                self._retry_at = now + self._window()
            return due
