"""What can go wrong with a queue; these import nothing, so that everything may import them."""

from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class QueueError(ScalekitError):
    """The queue cannot do what was asked."""


class PublishFailed(QueueError):
    """The broker did not confirm the job, which may or may not run. Try again if it may run twice."""


class BrokerUnreachable(QueueError):
    """The broker does not answer. Start it, or correct SCALEKIT_QUEUE_BROKER."""


class MiddlewareInvalid(QueueError):
    """The middleware that the options of a broker name cannot be used."""


class QueueDiffers(QueueError):
    """The server has a queue of this name that was declared in another way."""


class MessageRefused(QueueError):
    """A message asked for something that no message may ask for.

    `reason` is one of a few words by which refusals are counted.
    """

    final = True  # to run it again would not help

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DependencyMissing(QueueError, ImportError):
    """The queue needs packages that are not installed: pip install "django-scalekit[queue]"."""


class TaskUnknown(QueueError):
    """The task is not in this release; a newer one may have enqueued it, so the job is tried again later."""


class WorkerDied(QueueError):
    """Every worker that began this job died before it was over: killed, out of memory, or without power."""

    final = True


class JobSkipped(QueueError):
    """The job was not run: a middleware, or the task itself, had it skipped."""

    final = True


class NotKeepable(QueueError, ValueError):
    """A database cannot keep this as JSON: leave out NaN, infinities, NUL characters and broken Unicode."""

    final = True


class ShardUnknown(QueueError):
    """The shard of a job cannot be told from its arguments."""


class StoreUnreachable(QueueError):
    """The database that has the record of a job does not answer."""


class JobBuried(QueueError):
    """The broker moved the job to its dead letters."""


class CronInvalid(QueueError):
    """An entry of SCALEKIT_QUEUE_CRON cannot be used."""


class FlowInvalid(QueueError, TypeError):
    """A group or pipeline cannot be made of this."""


class GroupUnknown(QueueError):
    """There is no such group."""


class GroupPending(QueueError):
    """The members of the group have not all ended."""


class GroupFailed(QueueError):
    """A member of the group has failed."""


class NoTransaction(QueueError):
    """once() has to stand in the transaction of the effect that it guards."""


class LimitInvalid(QueueError, ValueError):
    """A task has a limit that cannot be used."""


class TaskCancelled(BaseException):
    """The job was cancelled.

    Raised inside a job that runs; no Exception, as `asyncio.CancelledError` is none, so that
    ``except Exception`` in the job does not swallow it.
    """

    final = True  # it is not tried again
