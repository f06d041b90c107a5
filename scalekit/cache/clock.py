"""What time it is for cached values: ages, soft expiry, early refresh. Tests move it, nobody else does."""

from __future__ import annotations

import time

_ahead = 0.0  # seconds


def now() -> float:
    """Return seconds since the epoch."""
    return time.time() + _ahead


def ahead() -> float:
    """Return how many seconds it is ahead of the real time: 0, except in tests."""
    return _ahead


def move(seconds: float) -> None:
    """Move it on, for a test."""
    global _ahead  # noqa: PLW0603 - one time for the process
    _ahead += seconds
