"""Where the server is, and how long to wait for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.queue.exceptions import DependencyMissing

try:
    from pika import BlockingConnection, URLParameters
    from pika.adapters.utils.connection_workflow import AMQPConnectorException
    from pika.exceptions import AMQPError
except ModuleNotFoundError as missing:
    raise DependencyMissing(
        'The RabbitMQ broker needs pika: pip install "django-scalekit[rabbitmq]".'
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a server that is gone, refuses or does not answer ends in.
UNANSWERED: tuple[type[Exception], ...] = (AMQPError, AMQPConnectorException, OSError)
VAGUE = (AMQPConnectorException,)  # their text is pika's own objects


@dataclass(frozen=True, slots=True)
class Address:
    """One or more servers of a cluster, tried in their order; all times are in seconds.

    `connect_timeout` bounds the way to each server, `timeout` the handshake with it, and its later answers.
    A connection over which nothing comes for twice `heartbeat` is given up, by the server too.
    """

    urls: tuple[str, ...]
    connect_timeout: float = 1.0
    timeout: float = 5.0
    heartbeat: int = 10

    @classmethod
    def of(cls, url: str | Sequence[str], **times: Any) -> Address:
        urls = tuple(url.split(";")) if isinstance(url, str) else tuple(url)
        return cls(urls, **times)

    def __str__(self) -> str:
        """Name the servers for people, without the password."""
        return ", ".join(
            f"{one.host}:{one.port}/{one.virtual_host.removeprefix('/')}"
            for one in self.parameters()
        )

    def parameters(self, timeout: float | None = None) -> list[Any]:
        """Return pika's parameters; `timeout` replaces both bounds."""
        found = [URLParameters(url) for url in self.urls]
        for one in found:
            one.socket_timeout = timeout or self.connect_timeout
            one.stack_timeout = timeout or self.timeout
            one.blocked_connection_timeout = timeout or self.timeout
            one.heartbeat = self.heartbeat
            one.connection_attempts = 1  # whoever needs it decides whether to try again
        return found

    def connect(self, timeout: float | None = None) -> BlockingConnection:
        """Open a connection. Raises one of `UNANSWERED`."""
        return BlockingConnection(self.parameters(timeout))


def quieten() -> None:
    """Keep pika from printing a dozen tracebacks a time: what goes wrong is raised or logged here.

    A level that the project's LOGGING has chosen stays.
    """
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
