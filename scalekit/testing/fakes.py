"""Stand-ins for what a test would rather not wait for, and ears for what scalekit announces."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.core.events import watch_declarations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.core.events import Event


@dataclass(frozen=True, slots=True)
class Announced:
    """One event that was emitted: its name, and what it said."""

    name: str
    payload: dict[str, Any]


class AnnouncedEvents(list[Announced]):
    """The events that were emitted, in order."""

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the payloads of the events of this name."""
        return [event.payload for event in self if event.name == name]


@contextmanager
def captured_events(*names: str) -> Iterator[AnnouncedEvents]:
    """Give the list of all events, or of those named, that are emitted inside the block.

    with captured_events("cache_read") as events:
        profile(7)
    assert events.named("cache_read")[0]["result"] == "miss"
    """
    captured = AnnouncedEvents()
    undo: list[Callable[[], None]] = []

    def receive(event: Event, payload: dict[str, Any]) -> None:
        captured.append(Announced(event.name, dict(payload)))

    def listen(event: Event) -> None:
        if not names or event.name in names:
            undo.append(event.subscribe(receive))

    undo.append(watch_declarations(listen))
    try:
        yield captured
    finally:
        for end in undo:
            end()
