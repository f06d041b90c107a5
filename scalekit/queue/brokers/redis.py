"""Redis or Valkey as the broker: Dramatiq's, with bounded waits and nothing believed that it fetches."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import ConnectionError as RedisConnectionError
from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from scalekit.queue.brokers.base import QueueBroker
from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.messages import flaw_of

from dramatiq.brokers.redis import RedisBroker as DramatiqRedisBroker  # isort: skip
from dramatiq.brokers.redis import _RedisConsumer  # isort: skip
from dramatiq.errors import ConnectionClosed  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAYED = ".DQ"  # how Dramatiq ends the name of the queue of what is not due yet


class RedisBroker(QueueBroker, DramatiqRedisBroker):
    """Dramatiq's RedisBroker. `url` is required: ``redis://[:password@]host:port/database``.

    `connect_timeout` and `timeout` are in seconds and bound every command. `maintenance_chance` (of a
    million commands) and `heartbeat_timeout` (milliseconds) decide how soon the jobs of a worker that was
    killed are taken up again. Further options are Dramatiq's (`namespace`, `dead_message_ttl`).
    """

    def __init__(
        self,
        alias: str,
        *,
        url: str,
        connect_timeout: float = 1.0,
        timeout: float = 5.0,
        maintenance_chance: int = 10_000,
        **options: Any,
    ) -> None:
        self.url = url
        client = _client(url, connect_timeout, timeout, retries=1)
        super().__init__(alias, client=client, maintenance_chance=maintenance_chance, **options)

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        try:
            return super().enqueue(message, delay=delay)
        except (RedisError, OSError) as error:
            raise PublishFailed(
                f"The broker at {self.where} did not confirm a job, which may or may not run: {error}"
            ) from error

    def ping(self, timeout: float = 1.0) -> None:
        client = _client(self.url, timeout, timeout, retries=0)
        try:
            client.ping()
        except (RedisError, OSError) as error:
            raise BrokerUnreachable(
                f"The broker at {self.where} does not answer: {error}. "
                f"Start it, or correct SCALEKIT_QUEUE_BROKER."
            ) from error
        finally:
            client.close()

    @property
    def where(self) -> str:
        at = self.client.connection_pool.connection_kwargs
        return at.get("path") or f"{at.get('host')}:{at.get('port', 6379)}/{at.get('db', 0)}"

    @property
    def consumer_class(self) -> type[Any]:
        return _CarefulConsumer


class _CarefulConsumer(_RedisConsumer):
    """Check what was fetched before a worker sees it, and survive a broker that goes away and returns.

    Dramatiq would drop the whole batch in which one message cannot be read, lose a worker thread to one
    that names another queue or has an option of the wrong type, and forget the delayed messages it holds when its connection breaks.
    """

    def __init__(self, broker: RedisBroker, queue: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._held = f"{broker.namespace}:__acks__.{broker.broker_id}.{queue}"
        if queue.endswith(DELAYED):
            with _as_broken_connection():
                self._return_delayed()

    def _return_delayed(self) -> None:
        """Put back what this process holds: none of it is in anyone's hands when a consumer is made."""
        if held := self.broker.client.smembers(self._held):
            self.broker.do_requeue(self.queue_name, *held)

    def ack(self, message: Any) -> None:
        with _as_broken_connection():
            super().ack(message)  # type: ignore[no-untyped-call]

    def nack(self, message: Any) -> None:
        with _as_broken_connection():
            super().nack(message)  # type: ignore[no-untyped-call]

    def requeue(self, messages: Any) -> None:
        with _as_broken_connection():
            super().requeue(messages)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Put back what was fetched and not handed out."""
        ids = [json.loads(data)["options"]["redis_message_id"] for data in self._sound]
        with _as_broken_connection():
            if ids:
                self.broker.do_requeue(self.queue_name, *ids)

    @property
    def message_cache(self) -> list[Any]:
        """What was fetched and not handed out yet; Dramatiq assigns each batch here."""
        return self._sound

    @message_cache.setter
    def message_cache(self, batch: list[Any]) -> None:
        self._sound: list[Any] = []
        for data in batch:
            if flaw := flaw_of(data, self.queue_name):
                self._bury(data, flaw)
            else:
                self._sound.append(data)

    def _bury(self, data: Any, flaw: str) -> None:
        """Move what no worker may see to the dead letters; it is found by its content, having no id to trust."""
        MESSAGE_REFUSED.emit(queue=self.queue_name, reason=flaw, size=len(data or b""))
        name = f"{self.broker.namespace}:{self.queue_name}.msgs"
        for id_ in self.broker.client.smembers(self._held):
            if self.broker.client.hget(name, id_) == data:
                self.broker.do_nack(self.queue_name, id_)


@contextmanager
def _as_broken_connection() -> Iterator[None]:
    """Tell Dramatiq in its own words, so that it tries again; it knows one of redis-py's errors only."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]


def _client(url: str, connect_timeout: float, timeout: float, *, retries: int) -> Redis:
    """Return a client that tries again only over a connection that broke while it was idle."""
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=connect_timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,)),
    )
    return Redis(connection_pool=pool)
