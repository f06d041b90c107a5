"""What a message must look like before Dramatiq may see it: who can write to the broker can write anything."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = {
    "queue_name": str,
    "actor_name": str,
    "message_id": str,
    "args": list,
    "kwargs": dict,
    "options": dict,
}
DELAYED = ".DQ"  # how Dramatiq ends the name of the queue of what is not due yet
LARGEST = 2**63  # what is larger may become no float, in which Dramatiq calculates


def flaw_of(data: Any, queue: str) -> str | None:
    """Tell in a word what keeps `data` from being a message of `queue`: None if nothing does."""
    try:
        message = json.loads(data)
        if not _is_message(message, queue):
            return "unreadable"
    except (ValueError, TypeError, KeyError, RecursionError):
        return "unreadable"
    options = message["options"]
    sound = all(OPTIONS[name](options[name]) for name in OPTIONS.keys() & options)
    return None if sound else "option"


def published_at(data: Any) -> float | None:
    """Return when `data` was published or due, in milliseconds by the clock of who published it."""
    try:
        message = json.loads(data)
        at = message["options"].get("published_at", message["message_timestamp"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return at if _is_number(at) else None


def _is_message(message: Any, queue: str) -> bool:
    return (
        all(isinstance(message[field], kind) for field, kind in FIELDS.items())
        and isinstance(message["message_timestamp"], int)
        and message["queue_name"] in {queue, queue + DELAYED}
        and len(message) == len(FIELDS) + 1
    )


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_one and abs(value) < LARGEST  # nor is it NaN or infinite


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _is_limit(value: Any) -> bool:
    return value is None or value == math.inf or _is_number(value)


def _is_time(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_none_or(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kinds)


# The options that Dramatiq's own middleware reads from a message; others are for the middleware of others.
OPTIONS: dict[str, Callable[[Any], bool]] = {
    "throws": _is_none_or(),  # classes of exceptions, which no JSON holds
    "retry_when": _is_none_or(),
    "retries": _is_count,
    "max_retries": _is_limit,
    "min_backoff": _is_number,
    "max_backoff": _is_number,
    "time_limit": _is_limit,
    "max_age": _is_limit,
    "result_ttl": _is_limit,
    "eta": _is_time,
    "delay": _is_time,
    "on_success": _is_none_or(str),
    "on_failure": _is_none_or(str),
    "on_retry_exhausted": _is_none_or(str),
    "pipe_target": _is_none_or(dict),
    "group_completion_uuid": _is_none_or(str),
    "group_completion_callbacks": _is_none_or(list),
}
