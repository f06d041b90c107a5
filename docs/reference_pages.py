"""Write the reference pages from the code, so that they cannot fall behind it."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import scalekit
from scalekit.core.conf import load_all_settings
from scalekit.core.context import facts
from scalekit.core.events import events

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(folder: Path) -> None:
    load_vocabulary()
    folder.mkdir(exist_ok=True)
    pages = {"settings": settings_page(), "events": events_page(), "facts": facts_page()}
    for name, lines in pages.items():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n")


def load_vocabulary() -> None:
    """Import every rung's events and facts."""
    for rung in pkgutil.iter_modules(scalekit.__path__):
        for name in ("events", "facts"):
            if rung.ispkg and (Path(scalekit.__path__[0]) / rung.name / f"{name}.py").exists():
                importlib.import_module(f"scalekit.{rung.name}.{name}")


def settings_page() -> Iterator[str]:
    yield "# Settings\n"
    yield "All are read when they are used, and `override_settings` works on each. `manage.py check` names unknown and unusable ones.\n"
    for name, setting in sorted(load_all_settings().items()):
        default = setting.default() if callable(setting.default) else setting.default
        yield f"## `{name}`\n\n{setting.help}\n\nDefault: `{default!r}`. Expects {setting.expected}.\n"


def events_page() -> Iterator[str]:
    yield "# Events\n"
    yield "What scalekit announces. Each is counted as the metric beside it when `scalekit.observability` is installed and configured; subscribe to one with `EVENT.subscribe(receiver)`.\n"
    yield "| event | what happened | labels | metric |\n|---|---|---|---|"
    for event in sorted(events.values(), key=lambda e: e.name):
        metric = f"`scalekit_{event.name}_total`" + (
            f", `scalekit_{event.name}_seconds`" if event.seconds else ""
        )
        if event.gauge:
            metric = f"`scalekit_{event.name}`"
        labels = ", ".join(f"`{label}`" for label in event.labels)
        yield f"| `{event.name}` | {event.help} | {labels} | {metric} |"


def facts_page() -> Iterator[str]:
    yield "# Facts\n"
    yield "What the code knows of the unit of work it runs in. Portable facts travel with queued jobs; logged ones stand on every log line.\n"
    yield "| fact | portable | logged |\n|---|---|---|"
    for fact in sorted(facts.values(), key=lambda f: f.name):
        yield f"| `{fact.name}` | {'yes' if fact.portable else ''} | {'yes' if fact.logged else ''} |"
