"""What can go wrong with a queue; these import nothing, so that everything may import them."""

from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class QueueError(ScalekitError):
    """The queue cannot do what was asked."""


class PublishFailed(QueueError):
    """The broker did not confirm the job, which may or may not run. Try again if it may run twice."""


class BrokerUnreachable(QueueError):
    """The broker does not answer. Start it, or correct SCALEKIT_QUEUE_BROKER."""


class MessageRefused(QueueError):
    """A message asked for something that no message may ask for.

    `reason` is one of a few words by which refusals are counted.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DependencyMissing(QueueError, ImportError):
    """The queue needs packages that are not installed: pip install "django-scalekit[queue]"."""


class TaskUnknown(QueueError):
    """The task is not in this release; a newer one may have enqueued it, so the job is tried again later."""


class CronInvalid(QueueError):
    """An entry of SCALEKIT_QUEUE_CRON cannot be used."""
