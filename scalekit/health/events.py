from __future__ import annotations

import logging

from scalekit.core.events import Event

CHECK_FINISHED = Event(
    "health_check_finished",
    "A health check was run.",
    labels=("check", "outcome"),
    seconds="duration",
)
CHECK_FAILED = Event(
    "health_check_failed",
    "A health check that was well fails.",
    labels=("check",),
    level=logging.WARNING,
)
CHECK_RECOVERED = Event(
    "health_check_recovered",
    "A health check that failed is well again.",
    labels=("check",),
    level=logging.INFO,
)
HEADERS_REFUSED = Event(
    "health_headers_refused",
    "A peer that is no trusted proxy named a client, a scheme or a request id.",
    labels=(),
    level=logging.DEBUG,  # anybody can cause as many as they like
)
