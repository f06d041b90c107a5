"""What time it is for cached values: ages, soft expiry, early refresh. Tests move it, nobody else does."""

from __future__ import annotations

import time

_ahead = 0.0  # seconds, set by scalekit.testing.cache


def now() -> float:
    """Return seconds since the epoch."""
    return time.time() + _ahead
