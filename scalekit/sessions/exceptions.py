from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class SessionStoreUnavailable(ScalekitError):
    """The session store does not answer, so nobody knows who the visitor is."""


class SessionTooLarge(ScalekitError, ValueError):
    """A session has more bytes than SCALEKIT_SESSIONS_MAX_BYTES; keep such data in a model or the cache."""


class EngineUnsupported(ScalekitError):
    """SESSION_ENGINE is none of scalekit's, and others cannot list or end a user's sessions."""
