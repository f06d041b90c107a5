"""What the threads of a worker have done and do, counted for the supervisor."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware

if TYPE_CHECKING:
    from collections.abc import Callable


class Tally(Middleware):
    """Counts jobs, and the seconds that threads were busy with them; tells `ended` of each one's."""

    def __init__(self, ended: Callable[[float], object]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._begun: dict[int, float] = {}
        self._done = 0
        self._busy = 0.0

    def before_process_message(self, broker: Any, message: Any) -> None:
        with self._lock:
            self._begun[threading.get_ident()] = time.monotonic()

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        now = time.monotonic()
        with self._lock:
            seconds = now - self._begun.pop(threading.get_ident(), now)
            self._busy += seconds
            self._done += 1
            self._ended(seconds)

    after_skip_message = after_process_message

    def read(self) -> dict[str, float]:
        """Return `done`, `running`, and the sum of `busy` seconds so far, of running jobs too."""
        now = time.monotonic()
        with self._lock:
            running = sum(now - began for began in self._begun.values())
            return {
                "done": self._done,
                "running": len(self._begun),
                "busy": round(self._busy + running, 6),
            }
