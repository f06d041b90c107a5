"""What happens while shards are migrated, as values that may cross from thread to thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Name = tuple[str, str]  # an app's label and a migration's name


class What(Enum):
    BEGUN = "begun"  # a shard
    STARTED = "started"  # a migration on it
    APPLIED = "applied"
    UNAPPLIED = "unapplied"
    BROKEN = "broken"  # the migration that failed
    ENDED = "ended"  # a shard, well
    FAILED = "failed"  # a shard
    INTERRUPTED = "interrupted"  # the round, by Ctrl-C


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened on a shard; `seconds` is how long what ended with it took."""

    alias: str
    what: What
    migration: Name | None = None
    seconds: float = 0.0
    error: str = ""


Tell = Callable[[Step], None]


def text_of(error: BaseException) -> str:
    """Return what an error says, or its name where it says nothing."""
    return str(error).strip() or type(error).__name__
