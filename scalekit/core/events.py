"""Events: what happened, announced once, observed by whoever cares.

    READ_ROUTED = Event("db_read_routed", "A read was given a server.", labels=("alias", "reason"))
    READ_ROUTED.emit(alias="replica_1", reason="round robin")

The part that emits knows no observer. An event without observers costs one truth test; an observer that
fails is logged and never harms the part that emitted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Receiver = Callable[["Event", dict[str, Any]], None]

logger = logging.getLogger("scalekit.events")

events: dict[str, Event] = {}
_watchers: list[Callable[[Event], None]] = []


class Event:
    """Something that happens in scalekit, declared once as a module's constant.

    `labels` are the payload keys with few distinct values, by which observers may count. `seconds`
    names the payload key that holds a duration, `gauge` the one that holds a level (a depth, a number of
    processes), of which the last one counts. `level` is the severity (`logging.INFO` ...) at which
    the event deserves a log line; None where it is too frequent for one.
    """

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 - becomes the metric's HELP line
        *,
        labels: tuple[str, ...] = (),
        seconds: str | None = None,
        gauge: str | None = None,
        level: int | None = None,
    ) -> None:
        if name in events:
            msg = f"An event named {name!r} exists already."
            raise ValueError(msg)
        self.name, self.help = name, help
        self.labels, self.seconds, self.gauge, self.level = labels, seconds, gauge, level
        self._receivers: tuple[Receiver, ...] = ()
        events[name] = self
        for watcher in _watchers:
            watcher(self)

    def __repr__(self) -> str:
        return f"<Event {self.name}>"

    def emit(self, **payload: Any) -> None:
        """Tell every receiver, in the order in which they subscribed."""
        for receiver in self._receivers:
            try:
                receiver(self, payload)
            except Exception:  # an observer must not break what it observes
                logger.exception("An observer of %s failed", self.name)

    def subscribe(self, receiver: Receiver) -> Callable[[], None]:
        """Call ``receiver(event, payload)`` at each `emit`; return a function that ends it."""
        self._receivers = (*self._receivers, receiver)
        return lambda: self._unsubscribe(receiver)

    def _unsubscribe(self, receiver: Receiver) -> None:
        self._receivers = tuple(r for r in self._receivers if r is not receiver)


def watch_declarations(watcher: Callable[[Event], None]) -> Callable[[], None]:
    """Call ``watcher(event)`` for every event declared so far and from now on; return the undo."""
    _watchers.append(watcher)
    for event in list(events.values()):
        watcher(event)
    return lambda: _watchers.remove(watcher)
