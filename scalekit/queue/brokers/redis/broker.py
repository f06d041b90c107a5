from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4
from weakref import WeakSet

from scalekit.queue.brokers.base import DeadMessage, QueueBroker, QueueStats
from scalekit.queue.brokers.redis import scripts
from scalekit.queue.brokers.redis.connections import UNANSWERED, Address, close, reaching
from scalekit.queue.brokers.redis.consumer import RedisConsumer
from scalekit.queue.brokers.redis.heartbeat import Heartbeat
from scalekit.queue.brokers.redis.holdings import Holdings
from scalekit.queue.brokers.redis.suspects import HeldMessage, Suspects
from scalekit.queue.conf import settings
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.jobs import milliseconds
from scalekit.queue.messages import published_at
from scalekit.queue.middleware.records import Records

from dramatiq.brokers.redis import RedisBroker as DramatiqRedisBroker  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WEEK = 7 * 86_400_000  # milliseconds
A_CALL = 500  # messages: a script keeps the server to itself, and its arguments lie on Lua's stack
A_TRIP = 10 * A_CALL  # messages in one round trip
BEATS = 5  # in the time after which a worker is dead


class RedisBroker(QueueBroker, DramatiqRedisBroker):
    """Dramatiq's RedisBroker with steps of its own in the server, on the server's clock.

    `url` is ``redis://[user:password@]host:port/database`` (``rediss`` for TLS); or give `sentinels`, a list
    of ``"host:port"``, with `service_name`. `connection` and `sentinel_connection` are further keywords of
    redis-py. `connect_timeout` and `timeout` are in seconds and bound every command. A process that gives no
    sign of life for `heartbeat_timeout` milliseconds is dead: what it had fetched is run by others. The
    broker's own dead letters are kept for `dead_message_ttl` milliseconds. `middleware` are dotted paths, as
    for every broker.

    Needs Redis 6.2 or any Valkey; not a Redis Cluster.
    """

    stores_delays: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 - they are the OPTIONS of a setting
        self,
        alias: str,
        *,
        middleware: Iterable[str] = (),
        connect_timeout: float = 1.0,
        timeout: float = 5.0,
        namespace: str = "dramatiq",
        heartbeat_timeout: int = 15_000,
        dead_message_ttl: int = WEEK,
        **address: Any,
    ) -> None:
        self.address, self.timeout = Address(**address), timeout
        super().__init__(
            alias,
            middleware=middleware,
            client=self.address.client(connect_timeout, timeout, retries=1),
            namespace=namespace,
            heartbeat_timeout=heartbeat_timeout,
            dead_message_ttl=dead_message_ttl,
        )
        self.add_middleware(Suspects(), before=Records)  # which claims what is about to be run
        self.begin_anew()
        _brokers.add(self)

    def begin_anew(self) -> None:
        """Be a worker that holds nothing: what a process is after it was forked."""
        self.broker_id = str(uuid4())
        self.holdings = Holdings()
        timeout = self.heartbeat_timeout / 1000
        self.heartbeat = Heartbeat(self._beat, timeout / BEATS, timeout)

    @property
    def consumer_class(self) -> type[Any]:
        return RedisConsumer

    @property
    def where(self) -> str:
        return str(self.address)

    def wake_key(self, queue: str) -> str:
        return f"{self.namespace}:__wake__.{queue}"

    def call(self, script: scripts.Script, *arguments: Any) -> Any:
        """Run a step in the server. Raises what redis-py raises."""
        return scripts.run(self.client, script.call(self.namespace, *arguments))

    def declare_queue(self, queue_name: str) -> None:
        """Make the queue known; delayed messages need no queue, and no thread, of their own."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        """Publish `message`, to be run in `delay` milliseconds at the earliest. Raises `PublishFailed`.

        What Dramatiq's Retries enqueue is what this process holds: that is stored and acknowledged at once.
        """
        if isinstance(message, HeldMessage):
            return self._store_retry(message, delay)
        prepared = self._prepare(message, delay)
        with self._confirmed():
            self.call(scripts.ENQUEUE, message.queue_name, *_stored(prepared, delay))
        self.emit_after("enqueue", prepared, delay)
        return prepared

    def enqueue_many(self, messages: Sequence[Any]) -> None:
        prepared = [self._prepare(message, None) for message in messages]
        with self._confirmed():
            for trip in _batches(prepared, A_TRIP):
                scripts.run_all(self.client, list(self._calls(trip)))
        for message in prepared:
            self.emit_after("enqueue", message, None)

    def retry(self, message: Any, delay: int) -> None:
        self._store_retry(message, delay)

    def begin(self, message: HeldMessage) -> bool:
        """Note that `message` is about to be run; tell whether this process holds it still."""
        with reaching(self.address):
            held = self.call(scripts.BEGIN, message.queue_name, self.broker_id, message.held_as)
        return bool(held)

    def ping(self, timeout: float = 1.0) -> None:
        client = self.address.client(timeout, timeout, retries=0)
        with reaching(self.address):
            try:
                client.ping()
            finally:
                close(client)

    def stats(self, queues: Iterable[str]) -> dict[str, QueueStats]:
        queues = list(queues)
        calls = [scripts.STATS.call(self.namespace, queue) for queue in queues]
        with reaching(self.address):
            answers = scripts.run_all(self.client, calls)
        return {queue: _stats(*answer) for queue, answer in zip(queues, answers, strict=True)}

    def dead_messages(self, queue: str, limit: int) -> list[DeadMessage]:
        with reaching(self.address):
            found = self.call(scripts.DEAD, queue, limit)
        each = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [_dead(queue, *one) for one in each]

    def forget_dead(self, queue: str, ids: Sequence[str]) -> None:
        with reaching(self.address):
            self.call(scripts.FORGET, queue, *ids)

    def close(self) -> None:
        """End the signs of life, and the connections."""
        self.heartbeat.stop()
        close(self.client)
        super().close()

    def do_purge(self, queue: str) -> None:
        """Remove all there is of a queue; what Dramatiq's `flush` calls."""
        self.call(scripts.PURGE, queue)

    def do_qsize(self, queue: str) -> int:
        """Count what is not run yet; what Dramatiq's `join` calls."""
        stats = self.stats([queue])[queue]
        return stats.ready + stats.delayed + stats.in_flight

    def _dispatch(self, command: str) -> Any:
        msg = f"Dramatiq's do_{command} does not know what is stored here."
        raise AttributeError(msg)

    def _beat(self, queues: list[str]) -> None:
        limits = (self.heartbeat_timeout, settings.MAX_DELIVERIES, self.dead_message_ttl)
        with reaching(self.address):
            self.call(scripts.BEAT, self.broker_id, *limits, *queues)

    def _prepare(self, message: Any, delay: int | None) -> Any:
        """Return a copy with an id of its own: a message may be published more than once."""
        copy = message.copy(options={"redis_message_id": str(uuid4())})
        copy.options.pop("eta", None)
        self.emit_before("enqueue", copy, delay)
        if delay:
            copy.options["published_at"] = milliseconds() + delay  # no one waits for it before
        return copy

    def _calls(self, messages: Sequence[Any]) -> Iterator[scripts.Call]:
        by_queue: dict[str, list[Any]] = {}
        for message in messages:
            by_queue.setdefault(message.queue_name, []).append(message)
        for queue, those in by_queue.items():
            for batch in _batches(those, A_CALL):
                stored = [value for message in batch for value in _stored(message, None)]
                yield scripts.ENQUEUE.call(self.namespace, queue, *stored)

    def _store_retry(self, message: HeldMessage, delay: int | None) -> Any:
        queue, held_as = message.queue_name, message.held_as
        prepared = self._prepare(message, delay)
        with self._confirmed():
            self.call(scripts.RETRY, queue, self.broker_id, held_as, *_stored(prepared, delay))
        self.holdings.remove(queue, [held_as])
        self.emit_after("enqueue", prepared, delay)
        return prepared

    @contextmanager
    def _confirmed(self) -> Iterator[None]:
        try:
            yield
        except UNANSWERED as error:
            raise PublishFailed(
                f"The broker at {self.where} did not confirm a job, which may or may not run: {error}"
            ) from error


def _stored(message: Any, delay: int | None) -> tuple[str, int, bytes]:
    return (message.options["redis_message_id"], max(0, int(delay or 0)), message.encode())


def _stats(ready: int, delayed: int, fetched: int, dead: int, first: bytes, now: int) -> QueueStats:
    since = published_at(first) if ready else now
    waited = None if since is None else max(0.0, (now - since) / 1000)
    return QueueStats(ready, delayed, fetched, dead, waited)


def _dead(queue: str, id_: bytes, raw: bytes, why: bytes) -> DeadMessage:
    deaths, _, reason = why.decode().partition(" ")
    return DeadMessage(id_.decode(), queue, reason, raw, int(deaths))


def _batches(messages: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(messages), size):
        yield messages[start : start + size]


def _begin_anew() -> None:
    for broker in list(_brokers):
        broker.begin_anew()


_brokers: WeakSet[RedisBroker] = WeakSet()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)
