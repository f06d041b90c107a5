"""What a broker is: one of Dramatiq's, with the promises scalekit adds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from scalekit.queue.exceptions import DependencyMissing

try:
    from dramatiq import Broker, middleware
except ModuleNotFoundError as missing:
    raise DependencyMissing from missing

from scalekit.queue.middleware.connections import DatabaseConnections
from scalekit.queue.middleware.context import Context
from scalekit.queue.middleware.events import Events
from scalekit.queue.middleware.retries import StoredRetries
from scalekit.queue.middleware.signals import TaskSignals


class QueueBroker(Broker, ABC):
    """A broker made as ``BACKEND(alias, **OPTIONS)``.

    Beyond Dramatiq's own contract, `enqueue` raises `PublishFailed` whenever the server did not confirm the
    message (which may have arrived all the same), whatever the client library calls it, and answers within
    seconds also when the server hangs.
    """

    def __init__(self, alias: str, **options: Any) -> None:
        super().__init__(middleware=scalekit_middleware(), **options)
        self.alias = alias

    @abstractmethod
    def ping(self, timeout: float = 1.0) -> None:
        """Return if the broker answers within `timeout` seconds, else raise `BrokerUnreachable`."""

    @property
    def where(self) -> str:
        """Where the broker is, for people, without its password."""
        return self.alias


def scalekit_middleware() -> list[Any]:
    """Return the middleware of a broker, in order.

    Hooks before a job run down this list and hooks after it run up. So the facts are there first and go
    last, and the retries have been decided on when callbacks, signals and events say how the job ended.
    They are decided on after the deadline was taken away, as that may take for as long as the broker is down.
    """
    return [
        Context(),
        DatabaseConnections(),
        Events(),
        TaskSignals(),
        middleware.Callbacks(),
        middleware.Pipelines(),
        StoredRetries(),
        middleware.AgeLimit(),
        middleware.TimeLimit(),
        middleware.ShutdownNotifications(),
    ]
