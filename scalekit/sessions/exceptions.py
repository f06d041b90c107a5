from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class SessionStoreUnavailable(ScalekitError):
    """The session store does not answer, so nobody knows who the visitor is."""
