"""What a worker's thread fetches messages with."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from dramatiq import Consumer, MessageProxy
from dramatiq.errors import ActorNotFound, ConnectionClosed
from dramatiq.message import Message
from pika.exceptions import ConnectionWrongStateError

from scalekit.queue.brokers.rabbitmq.address import UNANSWERED
from scalekit.queue.brokers.rabbitmq.letters import DEATHS, count_in
from scalekit.queue.brokers.rabbitmq.links import bounded
from scalekit.queue.conf import settings
from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.jobs import TASK_ACTOR
from scalekit.queue.messages import flaw_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scalekit.queue.brokers.rabbitmq.broker import RabbitMQBroker

_BROKEN: tuple[type[Exception], ...] = (*UNANSWERED, PublishFailed)


class HeldMessage(MessageProxy):
    """A message that `holder` was given as `tag`; `deaths` workers have gone away while they held it."""

    def __init__(
        self, message: Message[Any], holder: RabbitMQConsumer, tag: int, deaths: int
    ) -> None:
        super().__init__(message)
        self.holder, self.tag, self.deaths = holder, tag, deaths


class RabbitMQConsumer(Consumer):
    """Take what the server sends, on a connection of its own, and check it before a worker sees it.

    One a queue and process, as Dramatiq makes them. Other threads settle messages through it; what they
    settle after the connection has broken is settled nowhere, for the server has given it to others: tags
    begin anew with each connection, and Dramatiq's own consumer would settle some other message instead.
    """

    def __init__(self, broker: RabbitMQBroker, queue: str, prefetch: int, timeout: int) -> None:
        self.broker, self.queue_name, self.timeout = broker, queue, timeout / 1000
        self._held: set[int] = set()
        self._ready: deque[HeldMessage] = deque()  # sent to us, and not handed out yet
        self._subscription: str | None = None
        with _as_broken_connection():
            self.connection = broker.address.connect()
            with bounded(self.connection, broker.address.timeout):
                self.channel = self.connection.channel()
                self.channel.basic_qos(prefetch_count=prefetch)
                self.channel.add_on_cancel_callback(self._on_cancel)

    def __next__(self) -> HeldMessage | None:
        with _as_broken_connection():
            if not self._ready:
                self._subscribe()
                self.connection.process_data_events(time_limit=self.timeout)
        return self._ready.popleft() if self._ready else None

    def ack(self, message: Any) -> None:
        if self._is_ours(message):
            self._settle(message)

    def nack(self, message: Any) -> None:
        """Bury it: what failed for good, or what no actor is for."""
        if self._is_ours(message):
            no_actor = isinstance(message._exception, ActorNotFound)  # noqa: SLF001 - it has no other name
            self._bury(message, "no actor" if no_actor else "failed")

    def requeue(self, messages: Iterable[Any]) -> None:
        """Give back what nobody has begun, without that counting as a death.

        The next look at the queue subscribes anew: else this consumer would be sent it again at once.
        """
        ours = [message for message in messages if self._is_ours(message)]
        if ours:
            with _as_broken_connection():
                self._unsubscribe()
                self.broker.give_back(ours)
            for message in ours:
                self._settle(message)

    def rest(self) -> None:
        """Take no more, and give back what was sent to us already."""
        with _as_broken_connection():
            self._unsubscribe()
        ready = list(self._ready)
        self._ready.clear()
        self.requeue(ready)

    def idle(self) -> None:
        """Keep the connection alive, and tell the server what was settled."""
        with _as_broken_connection():
            self.connection.process_data_events(time_limit=0)

    def close(self) -> None:
        """Give back what was not handed out, tell the server what was settled, and go."""
        with suppress(ConnectionClosed):  # else the server gives it back
            self.rest()
        if self.connection.is_open:
            with _as_broken_connection(), bounded(self.connection, self.broker.address.timeout):
                self._tell()
                self.connection.close()

    def _tell(self) -> None:
        """Return when all that other threads have settled is on its way."""
        told = Event()
        self.connection.add_callback_threadsafe(told.set)
        while not told.is_set():
            self.connection.process_data_events(time_limit=None)

    def _subscribe(self) -> None:
        if self._subscription is None:
            with bounded(self.connection, self.broker.address.timeout):
                self._subscription = self.channel.basic_consume(
                    self.broker.names(self.queue_name).main, self._on_message
                )

    def _unsubscribe(self) -> None:
        """Be sent no more; what has come by now is ready, for pika would refuse it, which the server counts."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with bounded(self.connection, self.broker.address.timeout):
                self.connection.process_data_events(time_limit=0)
                self.channel.basic_cancel(subscription)

    def _on_cancel(self, _frame: Any) -> None:
        """Begin anew: the queue was removed, or its leader is gone."""
        self.broker.declared.forget(self.broker.names(self.queue_name))
        self.connection.close()

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._held.add(method.delivery_tag)
        deaths = _deaths(properties.headers or {})
        if flaw := flaw_of(body, self.queue_name):
            MESSAGE_REFUSED.emit(queue=self.queue_name, reason=flaw, size=len(body))
            with _as_broken_connection():
                self.broker.bury(self.queue_name, body, flaw, deaths)
            self._acknowledge(method.delivery_tag)
            return
        message = Message.decode(body)
        eta = message.options.pop("eta", None)
        held = HeldMessage(
            message.copy(queue_name=self.queue_name), self, method.delivery_tag, deaths
        )
        self._receive(held, 0 if eta is None else int(eta - time.time() * 1000))

    def _receive(self, message: HeldMessage, wait: int) -> None:
        if wait > 0:
            with _as_broken_connection():
                self.broker.retry(message, wait)
        elif message.deaths >= settings.MAX_DELIVERIES and not _has_record(message):
            self._bury(message, "died")
        else:
            self._ready.append(message)

    def _bury(self, message: HeldMessage, reason: str) -> None:
        with _as_broken_connection():
            self.broker.bury(self.queue_name, message.encode(), reason, message.deaths)
        self._settle(message)

    def _is_ours(self, message: Any) -> bool:
        return message.holder is self and message.tag in self._held

    def _settle(self, message: HeldMessage) -> None:
        """Acknowledge from any thread; a connection that broke has given the message to others already."""
        with suppress(ConnectionWrongStateError):
            self.connection.add_callback_threadsafe(partial(self._acknowledge, message.tag))

    def _acknowledge(self, tag: int) -> None:
        if tag in self._held:
            self._held.remove(tag)
            self.channel.basic_ack(tag)


def _has_record(message: HeldMessage) -> bool:
    """Tell whether a record counts the deaths, which knows who had begun the job; actors have none."""
    return message.actor_name.startswith(TASK_ACTOR) and "database" in message.options


def _deaths(headers: dict[str, Any]) -> int:
    """Count the workers that went away holding it: those the server counts, and those before it was given back."""
    return count_in(headers, "x-delivery-count") + count_in(headers, DEATHS)


@contextmanager
def _as_broken_connection() -> Iterator[None]:
    """Tell Dramatiq in its own words, so that it tries again; it knows one of pika's errors only."""
    try:
        yield
    except _BROKEN as error:
        raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # Dramatiq's
