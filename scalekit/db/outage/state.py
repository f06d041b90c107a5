"""Which primaries are down, as this process has seen: since when, and who waits for them."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scalekit.db.conf import settings
from scalekit.db.events import PRIMARY_DOWN, PRIMARY_UP
from scalekit.db.exceptions import PrimaryDown
from scalekit.db.outage.probing import probe_until_up

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("scalekit.db")


@dataclass(slots=True)
class Outage:
    """One primary's absence; `over` is set when it ends."""

    since: float
    error: str
    over: threading.Event = field(default_factory=threading.Event)


class Outages:
    """Fail fast while a primary is down: a thread of ours asks for it, requests do not."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[[str, threading.Event], None] = probe_until_up,
    ) -> None:
        self._clock, self._watch = clock, watch
        self._lock = threading.Lock()
        self._outages: dict[str, Outage] = {}

    def is_down(self, alias: str) -> bool:
        return alias in self._outages

    def is_current(self, alias: str, over: threading.Event) -> bool:
        """Return whether `over` is what the present outage of `alias` ends with."""
        outage = self._outages.get(alias)
        return outage is not None and outage.over is over

    def down(self, alias: str, error: BaseException) -> None:
        """Begin an outage, unless one is on."""
        with self._lock:
            if alias in self._outages:
                return
            outage = Outage(self._clock(), str(error).strip())
            self._outages[alias] = outage
        PRIMARY_DOWN.emit(alias=alias, error=outage.error)
        try:
            self._watch(alias, outage.over)
        except RuntimeError:  # no threads left; an outage that nobody watches would never end
            logger.exception("Nobody can watch the primary %s", alias)
            self.up(alias)

    def up(self, alias: str) -> None:
        """End an outage, if one is on, and let those go on who wait."""
        if alias not in self._outages:
            return
        with self._lock:
            outage = self._outages.pop(alias, None)
        if outage is not None:
            outage.over.set()
            PRIMARY_UP.emit(alias=alias, seconds=self._clock() - outage.since)

    def admit(self, alias: str) -> None:
        """Return at once unless `alias` is down; wait for its return while the outage is young.

        Raises `PrimaryDown` otherwise. Called before connecting, when nothing of a query has been sent.
        """
        outage = self._outages.get(alias)
        if outage is None:
            return
        patience = outage.since + settings.FAILOVER_WAIT - self._clock()
        if patience > 0 and outage.over.wait(patience):
            return
        raise PrimaryDown(f"The primary {alias} is down: {outage.error}")

    def forget(self) -> None:
        """Forget all, as a forked child must: its parent's threads do not watch for it.

        Sets no `over`: nobody waits in a child, and a thread of the parent may have held its lock.
        """
        self._outages = {}
        self._lock = threading.Lock()


outages = Outages()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=outages.forget)


def is_read_only(alias: str = "default") -> bool:
    """Return whether what primary `alias` holds can only be read just now."""
    return outages.is_down(alias)
