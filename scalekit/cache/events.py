from __future__ import annotations

import logging

from scalekit.core.events import Event

CACHE_READ = Event(
    "cache_read",
    "A cached function was asked: hit, stale (and is refreshed), miss (it loaded), joined (another call's load),"
    " bypassed (a transaction is changing it) or down (no cache).",
    labels=("function", "result"),
)
CACHE_LOADED = Event(
    "cache_loaded",
    "A cached function computed its value: ok or error.",
    labels=("function", "outcome"),
    seconds="seconds",
)
CACHE_INVALIDATED = Event("cache_invalidated", "A cached value was given up.", labels=("function",))
CACHE_UNREADABLE = Event(
    "cache_unreadable",
    "A stored value could not be read and was treated as a miss.",
    labels=("alias",),
    level=logging.WARNING,
)
CACHE_FAILED = Event(
    "cache_failed",
    "A cache did not do what it was asked; the site went on without it.",
    labels=("alias", "operation"),
    level=logging.WARNING,
)
CACHE_BREAKER = Event(
    "cache_breaker",
    "A failing cache is left alone for a while (open), or used again (closed).",
    labels=("alias", "state"),
    level=logging.WARNING,
)
CACHE_LOCAL_TIER = Event(
    "cache_local_tier",
    "The values kept in the process: off (it cannot hear what others change), or on again.",
    labels=("alias", "state"),
    level=logging.WARNING,
)
CACHE_FAILOVER = Event(
    "cache_failover",
    "A cache is replaced by its gutter for a while (gutter), or used again (first).",
    labels=("alias", "pool"),
    level=logging.WARNING,
)
CACHE_NAMES_ENDED = Event(
    "cache_names_ended",
    "A write or invalidate_tags() ended all values that depend on some names, in one round trip.",
    labels=("alias",),
)
CACHE_PAGE_REFUSED = Event(
    "cache_page_refused",
    "A page was kept for nobody: it set a cookie, used a CSRF token, its status was not 200 ...",
    labels=("function", "reason"),
)
