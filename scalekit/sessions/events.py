from __future__ import annotations

import logging

from scalekit.core.events import Event

SESSION_LOADED = Event(
    "session_loaded",
    "A session was looked up: found or absent.",
    labels=("result",),
    seconds="seconds",
)
SESSION_SAVED = Event(
    "session_saved",
    "A session was saved, or refused because it had been deleted (or, if new, because its key was taken).",
    labels=("result",),
    seconds="seconds",
)
SESSION_UNREADABLE = Event(
    "session_unreadable",
    "A stored session could not be read and was treated as absent.",
    level=logging.WARNING,
)
SESSION_STORE_FAILED = Event(
    "session_store_failed",
    "The session store did not do what it was asked.",
    labels=("operation",),
    level=logging.ERROR,
)
