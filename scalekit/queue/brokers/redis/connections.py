"""Connections to the server, each wait bounded; where it is, without its password."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis import ConnectionError as RedisConnectionError
from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from scalekit.queue.exceptions import BrokerUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Address:
    """A server by its URL, or by the Sentinels that know which one it is.

    `connection` and `sentinel_connection` are further keywords of redis-py for connections to the server and
    to the Sentinels: ``username``, ``password``, ``db``, ``ssl`` ...
    """

    url: str | None = None
    sentinels: Sequence[Any] = ()
    service_name: str | None = None
    connection: dict[str, Any] = field(default_factory=dict)
    sentinel_connection: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.sentinels):
            raise ValueError('give either a url, or "sentinels" with a "service_name"')
        if isinstance(self.sentinels, str):
            raise ValueError('"sentinels" is a list: ["host:port", ...]')  # noqa: TRY004 - OPTIONS are refused as one
        if self.sentinels and not self.service_name:
            raise ValueError('"sentinels" need a "service_name": what they call the server')

    def client(self, connect_timeout: float, timeout: float, *, retries: int) -> Redis:
        """Return a client that tries again only over a connection that broke while it was idle."""
        bounds = {"socket_connect_timeout": connect_timeout, "socket_timeout": timeout}
        retry = Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,))
        options = {**self.connection, **bounds, "retry": retry}
        if self.url is None:
            return self._behind_sentinels(connect_timeout, options)
        try:
            pool = ConnectionPool.from_url(self.url, **options)
        except (ValueError, AttributeError):  # whose text may quote a password
            raise ValueError(
                "url must be redis://[user:password@]host:port/database, or rediss:// for TLS"
            ) from None
        return Redis.from_pool(pool)  # which is closed with it

    def _behind_sentinels(self, connect_timeout: float, options: dict[str, Any]) -> Redis:
        bounds = {"socket_connect_timeout": connect_timeout, "socket_timeout": connect_timeout}
        once = Retry(NoBackoff(), 0)
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            [_host_and_port(one) for one in self.sentinels],
            sentinel_kwargs={**self.sentinel_connection, **bounds, "retry": once},
        )
        client: Redis = sentinel.master_for(str(self.service_name), **options)
        return client

    def __str__(self) -> str:
        if self.url is None:
            known = ", ".join("{}:{}".format(*_host_and_port(one)) for one in self.sentinels)
            return f"{self.service_name} of the Sentinels {known}"
        at = ConnectionPool.from_url(self.url).connection_kwargs
        database = at.get("db", 0)
        return at.get("path") or f"{at.get('host')}:{at.get('port', 6379)}/{database}"


def _host_and_port(sentinel: Any) -> tuple[str, int]:
    if isinstance(sentinel, str):
        host, _, port = sentinel.rpartition(":") if ":" in sentinel else (sentinel, "", "")
        return host.strip("[]"), int(port or SENTINEL_PORT)  # brackets are IPv6's
    host, port = sentinel
    return str(host), int(port)


def close(client: Redis) -> None:
    """Close every connection of `client`, those to the Sentinels too."""
    client.close()
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        sentinel.close()


UNANSWERED = (RedisError, OSError, MasterNotFoundError)  # for want of an answer


@contextmanager
def reaching(where: object) -> Iterator[None]:
    """Raise `BrokerUnreachable` where redis-py raises what it will."""
    try:
        yield
    except UNANSWERED as error:
        raise BrokerUnreachable(
            f"The broker at {where} does not answer: {str(error).rstrip('.')}. "
            f"Start it, or correct SCALEKIT_QUEUE_BROKER."
        ) from error
