from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class QueueUntestable(ScalekitError):
    """A test asks of the queue what cannot be had where it stands."""


class JobsDoNotEnd(ScalekitError, AssertionError):
    """The jobs of a test enqueue others for ever."""
