"""The supervisor's numbers as gauges: announced as events, and shown on its own port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.queue.events import JOBS_SEEN, LATENCY_SEEN, OUTBOX_SEEN, PROCESSES_SEEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.core.events import Event
    from scalekit.queue.supervisor.figures import Figures

Gauge = tuple["Event", dict[str, str], float]


def gauges_of(figures: Figures) -> Iterator[Gauge]:
    """Return each gauge that is known, those of one event together."""
    for queue, seen in figures.by_queue.items():
        for state in ("waiting", "delayed", "in_flight", "dead"):
            yield JOBS_SEEN, {"queue": queue, "state": state}, seen[state]
    for queue, seen in figures.by_queue.items():
        if seen["latency_seconds"] is not None:
            yield LATENCY_SEEN, {"queue": queue}, seen["latency_seconds"]
    if figures.rows is not None:
        yield OUTBOX_SEEN, {}, figures.rows.oldest_due
    for state in ("ready", "starting", "draining"):
        yield PROCESSES_SEEN, {"state": state}, getattr(figures, state)


def announce(figures: Figures) -> None:
    """Emit each gauge as an event."""
    for event, labels, value in gauges_of(figures):
        event.emit(**labels, **{event.gauge or "": value})
