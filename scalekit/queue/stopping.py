from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue

WAKE = 0.5  # seconds


class StopOrder:
    """What a main thread waits for; signal handlers and other threads give it.

    Not an Event: a handler that sets one may have interrupted the wait for it, which holds its lock. And not a
    wait without end: Python runs handlers in the main thread, which a signal does not wake that the kernel gave to
    another.
    """

    def __init__(self) -> None:
        self._given: SimpleQueue[None] = SimpleQueue()

    def give(self) -> None:
        self._given.put(None)

    def wait(self) -> None:
        """Return once the order is given; it is taken thereby."""
        while True:
            with suppress(Empty):
                self._given.get(timeout=WAKE)
                return
