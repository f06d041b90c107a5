"""The supervisor's numbers in Prometheus' text format, under the names that scalekit.observability gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.queue.supervisor.gauges import gauges_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.core.events import Event
    from scalekit.queue.supervisor.figures import Figures


def exposition(figures: Figures) -> str:
    """Return all that is known; what could not be seen is left out, as Prometheus wants it."""
    return "".join(f"{line}\n" for line in _lines(figures))


def _lines(figures: Figures) -> Iterator[str]:
    last: Event | None = None
    for event, labels, value in gauges_of(figures):
        name = f"scalekit_{event.name}"
        if event is not last:
            yield f"# HELP {name} {event.help}"
            yield f"# TYPE {name} gauge"
            last = event
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{shown}}} {value:g}" if shown else f"{name} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
