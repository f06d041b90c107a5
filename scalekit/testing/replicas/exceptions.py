from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class ReplicasUntestable(ScalekitError):
    """A test cannot have replicas that behave as in production."""
