"""Sessions that every web server shares, and that two requests at once cannot spoil.

    SESSION_ENGINE = "scalekit.sessions.redis"
    SCALEKIT_SESSIONS_REDIS_URL = "redis://sessions.internal:6379/0"

Its page: docs/journey/stateless_web_tier.md.
"""

from __future__ import annotations

from scalekit.sessions.exceptions import SessionStoreUnavailable

__all__ = ["SessionStoreUnavailable"]
