"""The keywords that a task takes beyond Django's: what each accepts, and what it becomes in a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

from scalekit.queue import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword. `option` is its name among the options of a message; None where it is no such option."""

    name: str
    accepts: Callable[[Any], bool]
    expected: str
    option: str | None = None
    convert: Callable[[Any], Any] = lambda value: value


def seconds(duration: float | timedelta) -> float:
    """Return a duration in seconds, which may be given as timedelta."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def _milliseconds(duration: float | timedelta) -> int:
    return max(1, round(seconds(duration) * 1000))  # Dramatiq takes 0 for no limit at all


def _is_duration(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        return False
    return 0 < seconds(value) <= LONGEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_shard(value: Any) -> bool:
    return not isinstance(value, tuple) or (len(value) == 2 and isinstance(value[0], str))  # noqa: PLR2004 - a pair


LONGEST = 10 * 366 * 86_400  # seconds; what the clocks of all databases can add
DURATION = "a number of seconds above 0, or a timedelta"

KEYWORDS = (
    Keyword("max_retries", _is_count, "a whole number from 0", "max_retries"),
    Keyword("min_backoff", _is_duration, DURATION, "min_backoff", _milliseconds),
    Keyword("max_backoff", _is_duration, DURATION, "max_backoff", _milliseconds),
    Keyword("time_limit", _is_duration, DURATION, "time_limit", _milliseconds),
    Keyword("unique_for", _is_duration, DURATION),
    Keyword("record", _is_flag, "True or False"),
    Keyword("shard", _is_shard, "an argument's name, a key, or a group and one of these"),
)


def flaws_of(values: Any) -> Iterator[str]:
    """Say what is wrong with the keywords that a task has, which are attributes of `values`."""
    given = {keyword: getattr(values, keyword.name, None) for keyword in KEYWORDS}
    for keyword, value in given.items():
        if value is not None and not keyword.accepts(value):
            yield f"{keyword.name} = {value!r}: expected {keyword.expected}."
    if getattr(values, "unique_for", None) is not None and not getattr(values, "record", True):
        yield "unique_for needs the record by which a job is recognised: remove record=False."
    yield from _flaws_of_shard(values)
    yield from limits.flaws_of(values)


def _flaws_of_shard(values: Any) -> Iterator[str]:
    shard = getattr(values, "shard", None)
    source = shard[-1] if isinstance(shard, tuple) else shard
    if isinstance(source, str) and source not in signature(values.func).parameters:
        yield f"shard = {shard!r}: {values.func.__name__} has no such argument."


def message_options(task: Any) -> dict[str, Any]:
    """Return what of the keywords of `task` travels with its messages."""
    given = ((keyword, getattr(task, keyword.name, None)) for keyword in KEYWORDS if keyword.option)
    return {str(k.option): k.convert(value) for k, value in given if value is not None}
