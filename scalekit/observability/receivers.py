"""What observability makes of the events that the other rungs announce, without knowing those rungs."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from scalekit.core.context import Fact
from scalekit.core.events import watch_declarations

if TYPE_CHECKING:
    from scalekit.core.events import Event

logger = logging.getLogger("scalekit.events")

# How often the request's cached functions were hit or missed, by the `result` of this event.
CACHE_RESULTS: Fact[dict[str, int] | None] = Fact("cache_results", None)
CACHE_EVENT = "cache_read"

_TAKEN = frozenset({*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime"})


@cache
def write_event_lines() -> None:
    """Log each event that has a level, also those declared later. A second call changes nothing."""
    watch_declarations(_subscribe_line)


@cache
def count_cache_results() -> None:
    """Keep count, for the request's line, of what the cache announces. Again only once."""
    watch_declarations(_subscribe_cache)


def _subscribe_line(event: Event) -> None:
    if event.level is not None:
        event.subscribe(write_line)


def _subscribe_cache(event: Event) -> None:
    if event.name == CACHE_EVENT:
        event.subscribe(_count_result)


def write_line(event: Event, payload: dict[str, Any]) -> None:
    """Log one event: its name, and its payload as fields."""
    level = event.level or logging.INFO
    if logger.isEnabledFor(level):
        logger.log(level, event.name, extra={_field(key): v for key, v in payload.items()})


def _field(key: str) -> str:
    return f"{key}_" if key in _TAKEN else key  # logging refuses fields that it has itself


def _count_result(_event: Event, payload: dict[str, Any]) -> None:
    results = CACHE_RESULTS.get()
    if results is not None:
        result = str(payload.get("result"))
        results[result] = results.get(result, 0) + 1
