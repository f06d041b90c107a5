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
SESSION_LARGE = Event(
    "session_large",
    "A session was saved that is larger than SCALEKIT_SESSIONS_WARN_BYTES; `key` is its largest.",
    level=logging.WARNING,
)
SESSION_ADOPTED = Event(
    "session_adopted",
    "A visitor came with a session of the previous engine: adopted or refused.",
    labels=("result",),
)
SESSION_CACHE_READ = Event(
    "session_cache_read",
    "The hybrid engine asked Redis: hit, miss, disbelieved, or failed.",
    labels=("result",),
)
SESSION_CACHE_DISTRUSTED = Event(
    "session_cache_distrusted",
    "A change did not reach Redis, so every server reads sessions from the database for a while.",
    level=logging.WARNING,
)
SESSIONS_ENDED = Event(
    "sessions_ended",
    "Sessions of a user were ended from outside: `count` of them.",
    level=logging.INFO,
)
SESSIONS_EXPIRED = Event(
    "sessions_expired", "A batch of expired sessions was removed from the database."
)
