"""What a broker is: one of Dramatiq's, with the promises scalekit adds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.module_loading import import_string

from scalekit.queue.exceptions import DependencyMissing, MiddlewareInvalid

try:
    from dramatiq import middleware
except ModuleNotFoundError as missing:
    raise DependencyMissing from missing

from scalekit.queue.brokers.hooks import Emitting
from scalekit.queue.middleware.connections import AbandonedTransactions, DatabaseConnections
from scalekit.queue.middleware.context import Context
from scalekit.queue.middleware.events import Events
from scalekit.queue.middleware.leases import Leases
from scalekit.queue.middleware.limits import JobLimits
from scalekit.queue.middleware.records import Records
from scalekit.queue.middleware.retries import StoredRetries
from scalekit.queue.middleware.signals import TaskSignals
from scalekit.queue.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What waits in a queue and its lanes. `waited` is how many seconds ago its oldest waiting message was published."""

    ready: int = 0
    delayed: int = 0
    in_flight: int = 0
    dead: int = 0
    waited: float | None = None  # None: the broker cannot tell


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message in the dead letters of the broker. `reason`: ``failed``, ``died`` (its workers), ``unreadable`` ..."""

    id: str  # by which the broker finds it again
    queue: str
    reason: str
    raw: bytes  # what was published
    deliveries: int = 0


class QueueBroker(Emitting, ABC):
    """A broker made as ``BACKEND(alias, **OPTIONS)``.

    `middleware`, one of the options of every broker, is a list of dotted paths of Dramatiq middleware of
    others, which is made without arguments and stands after ours.

    Beyond Dramatiq's own contract, `enqueue` raises `PublishFailed` whenever the server did not confirm the
    message (which may have arrived all the same), whatever the client library calls it, and answers within
    seconds also when the server hangs.
    """

    stores_delays: ClassVar[bool] = (
        False  # whether a delayed message lies in the server, not in a worker
    )

    def __init__(self, alias: str, *, middleware: Iterable[str] = (), **options: Any) -> None:
        others = [_made(path) for path in middleware]
        super().__init__(middleware=[*scalekit_middleware(), *others], **options)
        self.alias = alias

    @abstractmethod
    def ping(self, timeout: float = 1.0) -> None:
        """Return if the broker answers within `timeout` seconds, else raise `BrokerUnreachable`."""

    @abstractmethod
    def enqueue_many(self, messages: Sequence[Any]) -> None:
        """Publish all, in as few round trips as the server allows, in order.

        Raises `PublishFailed` unless the server confirmed every one; then any of them may have arrived.
        """

    @abstractmethod
    def retry(self, message: Any, delay: int) -> None:
        """Store `message`, which this process holds, to be delivered again in `delay` milliseconds.

        It is acknowledged in the same step where the server can do that, else after it was stored; a later
        `ack` of it does nothing. Raises `PublishFailed`, and then this process holds it still.
        """

    @abstractmethod
    def stats(self, queues: Iterable[str]) -> dict[str, QueueStats]:
        """Return what waits in each of `queues`. Raises `BrokerUnreachable`."""

    @abstractmethod
    def dead_messages(self, queue: str, limit: int) -> list[DeadMessage]:
        """Return some of the dead letters of `queue`, the oldest first. Raises `BrokerUnreachable`.

        They stay until `forget_dead`; several processes may see the same ones.
        """

    @abstractmethod
    def forget_dead(self, queue: str, ids: Sequence[str]) -> None:
        """Remove dead letters that `dead_messages` has returned. Raises `BrokerUnreachable`."""

    @property
    def where(self) -> str:
        """Where the broker is, for people, without its password."""
        return self.alias


def _made(path: str) -> Any:
    try:
        return import_string(path)()
    except (ImportError, TypeError) as error:
        raise MiddlewareInvalid(
            f"The broker's middleware {path!r} cannot be made: {error}. Correct SCALEKIT_QUEUE_BROKER; "
            f"middleware that needs arguments needs a subclass that knows them."
        ) from error


def scalekit_middleware() -> list[Any]:
    """Return the middleware of a broker, in order.

    Hooks before a job run down this list and hooks after it run up. So the facts are there first and go
    last; a job is claimed before it counts towards a limit and before its deadline runs; and its record says
    what comes next when callbacks, signals and events say how it ended. That is written after the deadline
    was taken away, as it may take for as long as the database or the broker is down.
    """
    return [
        Leases(),
        Context(),
        DatabaseConnections(),
        Events(),
        TaskSignals(),
        middleware.Callbacks(),
        middleware.Pipelines(),
        Records(),  # jobs that have a record
        StoredRetries(),  # and those that have none
        JobLimits(),
        middleware.AgeLimit(),
        AbandonedTransactions(),  # before anything is written about the job
        TimeLimits(),
        middleware.ShutdownNotifications(),
    ]
