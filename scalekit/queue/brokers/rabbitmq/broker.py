from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import q_name

from scalekit.queue.brokers.base import DeadMessage, QueueBroker, QueueStats
from scalekit.queue.brokers.rabbitmq import declaring, letters
from scalekit.queue.brokers.rabbitmq.address import (
    UNANSWERED,
    VAGUE,
    Address,
    quieten,
)
from scalekit.queue.brokers.rabbitmq.consumer import HeldMessage, RabbitMQConsumer
from scalekit.queue.brokers.rabbitmq.links import Link, Links, Outgoing
from scalekit.queue.brokers.rabbitmq.queues import QueueNames, rung_for
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.jobs import milliseconds

from pika import BasicProperties  # isort: skip  # its absence is told of by the import of address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

A_TRIP = 1000  # messages that are published before their confirms are waited for
PERSISTENT = 2


class RabbitMQBroker(QueueBroker, RabbitmqBroker):
    """Dramatiq's RabbitmqBroker on quorum queues, with publisher confirms always on.

    `url` is ``amqp://user:password@host:port/vhost`` (``amqps`` for TLS), or several of them for the servers
    of one cluster, as a list or with semicolons between. `connect_timeout` (1) and `timeout` (5) are in seconds
    and bound the way to each server and every wait for an answer. A connection over which nothing comes for
    twice `heartbeat` (10) seconds is given up, on both sides. Names of queues begin with `namespace`, if given.

    Needs RabbitMQ 3.10.
    """

    stores_delays: ClassVar[bool] = True

    def __init__(
        self,
        alias: str,
        *,
        url: str | Sequence[str],
        namespace: str = "",
        middleware: Iterable[str] = (),
        **times: Any,
    ) -> None:
        self.address = Address.of(url, **times)
        super().__init__(
            alias, middleware=middleware, url=list(self.address.urls), confirm_delivery=True
        )
        self.parameters = self.address.parameters()
        self.namespace = namespace
        self.declared = declaring.Declared()
        self.begin_anew()
        quieten()
        _brokers.add(self)

    def begin_anew(self) -> None:
        """Have no connection: what a process is after it was forked, since connections are its parent's."""
        self.links = Links(self.address)

    @property
    def consumer_class(self) -> type[Any]:
        return RabbitMQConsumer

    @property
    def where(self) -> str:
        return str(self.address)

    @property
    def connection(self) -> Any:
        """The connection of this thread, as Dramatiq's own code uses it."""
        return self.links.get().connection

    @connection.deleter
    def connection(self) -> None:
        self.links.drop()

    def names(self, queue: str) -> QueueNames:
        return QueueNames(self.namespace, q_name(queue))

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Make the queue known; delayed messages need no consumer of their own.

        Raises `QueueDiffers` where the server has one of another kind.
        """
        queue = q_name(queue_name)
        if queue not in self.queues:
            self.emit_before("declare_queue", queue)
            self.queues.add(queue)
            self.emit_after("declare_queue", queue)
        if ensure:
            with self._reaching() as link:
                self.declared.require(link.connection, self.names(queue))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        self.declare_queue(queue_name)
        names = self.names(queue_name)
        self.declared.forget(names)  # what ended the last connection may have taken the queue
        with self._confirming() as link:
            self.declared.require(link.connection, names)
        return self.consumer_class(self, queue_name, prefetch, timeout)

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        prepared = self._prepare(message, delay)
        self._publish([prepared], delay)
        self.emit_after("enqueue", prepared, delay)
        return prepared

    def enqueue_many(self, messages: Sequence[Any]) -> None:
        prepared = [self._prepare(message, None) for message in messages]
        for start in range(0, len(prepared), A_TRIP):  # each trip has its own time
            self._publish(prepared[start : start + A_TRIP], None)
        for message in prepared:
            self.emit_after("enqueue", message, None)

    def retry(self, message: Any, delay: int) -> None:
        self.enqueue(message, delay=delay)
        if isinstance(message, HeldMessage):
            message.holder.ack(message)

    def give_back(self, messages: Sequence[HeldMessage]) -> None:
        """Store copies of what this process has taken and not begun; they remember how many died with them."""
        outgoing = [
            self._outgoing(message, {letters.DEATHS: message.deaths} if message.deaths else None)
            for message in messages
        ]
        self._store(outgoing, messages[0].queue_name)

    def bury(self, queue: str, body: bytes, reason: str, deaths: int) -> None:
        """Store what no worker may have in the dead letters of `queue`."""
        headers = {letters.REASON: reason, letters.DEATHS: deaths}
        properties = BasicProperties(delivery_mode=PERSISTENT, headers=headers)
        self._store([Outgoing(self.names(queue).dead, body, properties)], queue)

    def ping(self, timeout: float = 1.0) -> None:
        with self._reported():
            self.address.connect(timeout).close()

    def stats(self, queues: Iterable[str]) -> dict[str, QueueStats]:
        with self._reaching() as link:
            return {queue: _stats(link, self.names(queue)) for queue in queues}

    def dead_messages(self, queue: str, limit: int) -> list[DeadMessage]:
        with self._reaching() as link:
            return letters.dead_messages(link.connection, self.names(queue), limit)

    def forget_dead(self, queue: str, ids: Sequence[str]) -> None:
        with self._reaching() as link:
            letters.forget(link.connection, self.names(queue), ids)

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Count what waits, is delayed and is dead; what Dramatiq's `join` calls."""
        stats = self.stats([queue_name])[queue_name]
        return stats.ready, stats.delayed, stats.dead

    def flush(self, queue_name: str) -> None:
        with self._reaching() as link:
            for name in self.names(queue_name).all():
                declaring.purge(link.connection, name)

    def close(self) -> None:
        """Close the connections of all threads; none may be publishing."""
        self.links.close()

    def _prepare(self, message: Any, delay: int | None) -> Any:
        copy = message.copy()
        copy.options.pop("eta", None)
        if delay:
            copy.options["eta"] = milliseconds() + int(delay)
        self.declare_queue(copy.queue_name)
        self.emit_before("enqueue", copy, delay)
        if delay:
            copy.options["published_at"] = copy.options["eta"]  # no one waits for it before
        return copy

    def _publish(self, messages: Sequence[Any], delay: int | None) -> None:
        by_queue: dict[str, list[Any]] = {}
        for message in messages:
            by_queue.setdefault(message.queue_name, []).append(message)
        for queue, those in by_queue.items():
            outgoing = [self._outgoing(message, delay=delay) for message in those]
            self._store(outgoing, queue, delay)

    def _outgoing(
        self, message: Any, headers: dict[str, Any] | None = None, *, delay: int | None = None
    ) -> Outgoing:
        names = self.names(message.queue_name)
        properties = BasicProperties(
            delivery_mode=PERSISTENT,
            content_type="application/json",
            message_id=message.message_id,
            headers=headers,
        )
        to = names.delay(rung_for(delay)) if delay else names.main
        return Outgoing(to, message.encode(), properties)

    def _store(self, messages: Sequence[Outgoing], queue: str, delay: int | None = None) -> None:
        """Publish to one of the queues of `queue`; what comes back for want of it once more, after declaring it."""
        names, rung = self.names(queue), rung_for(delay) if delay else None
        with self._confirming() as link:
            for _ in range(2):
                self.declared.require(link.connection, names, rung)
                messages = link.publisher.publish(messages)
                if not messages:
                    return
                self.declared.forget(names)
        raise PublishFailed(f"The broker at {self.where} has no queue {messages[0].to!r}.")

    @contextmanager
    def _confirming(self) -> Iterator[Link]:
        try:
            link = self.links.get()
            with link.answering():
                yield link
        except UNANSWERED as error:
            self.links.drop()
            raise PublishFailed(
                f"The broker at {self.where} did not confirm a job, which may or may not run: {_words(error)}"
            ) from error

    @contextmanager
    def _reaching(self) -> Iterator[Link]:
        with self._reported():
            try:
                link = self.links.get()
                with link.answering():
                    yield link
            except UNANSWERED:
                self.links.drop()
                raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except UNANSWERED as error:
            raise BrokerUnreachable(
                f"The broker at {self.where} does not answer: {_words(error)}. "
                f"Start it, or correct SCALEKIT_QUEUE_BROKER."
            ) from error


def _words(error: Exception) -> str:
    """Say what went wrong; pika's errors about connecting hold its own objects, or nothing."""
    is_vague = isinstance(error, VAGUE) or not str(error)
    return type(error).__name__ if is_vague else str(error)


def _stats(link: Link, names: QueueNames) -> QueueStats:
    def waiting(name: str) -> int:
        return declaring.count(link.connection, name) or 0

    return QueueStats(
        ready=waiting(names.main),
        delayed=sum(map(waiting, names.delays)),
        dead=waiting(names.dead),
    )


def _begin_anew() -> None:
    for broker in list(_brokers):
        _of_the_parent.append(broker.links)
        broker.begin_anew()


_brokers: WeakSet[RabbitMQBroker] = WeakSet()
_of_the_parent: list[Links] = []  # kept, so that nothing ends them in a forked child
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)
