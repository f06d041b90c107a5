"""A thread's own connection, on which no wait is without end.

pika's connections belong to one thread. What it waits for has no time limit of its own, and it confirms one
message at a time; the three calls here that go beneath its blocking surface are there for these two reasons.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pika.exceptions import AMQPConnectionError, ConnectionWrongStateError

from scalekit.queue.brokers.rabbitmq.address import UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pika import BasicProperties, BlockingConnection

    from scalekit.queue.brokers.rabbitmq.address import Address

GOODBYE = 1.0  # seconds for closing what is not needed any more


class Refused(AMQPConnectionError):  # type: ignore[misc]  # pika has no types
    """The server would not store a message, without saying why: its disk, its memory, or a lost leader."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for the queue `to`, as the server is given it."""

    to: str
    body: bytes
    properties: BasicProperties


@contextmanager
def bounded(connection: BlockingConnection, seconds: float) -> Iterator[None]:
    """Break `connection` off if the block takes longer, so that whatever waits in it raises."""
    if not connection.is_open:
        raise ConnectionWrongStateError("the connection is closed")
    beneath = connection._impl  # noqa: SLF001 - only its own loop's timers run while it blocks
    error = AMQPConnectionError(f"no answer within {seconds:g} s")
    timer = beneath._adapter_call_later(seconds, partial(beneath._terminate_stream, error))  # noqa: SLF001 - pika offers no timer of its own here
    try:
        yield
    finally:
        beneath._adapter_remove_timeout(timer)  # noqa: SLF001 - as above


class Publisher:
    """A channel on which the server confirms, in bulk, what it has stored."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._channel = connection.channel()._impl  # noqa: SLF001 - the blocking one waits after each message
        self._channel.confirm_delivery(self._on_answer)
        self._channel.add_on_return_callback(self._on_return)
        self._count = 0
        self._waiting: set[int] = set()
        self._refused = 0
        self._returned: list[Outgoing] = []

    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Publish all and return when all are answered for; returns those for which there is no queue.

        Raises one of `UNANSWERED`.
        """
        self._returned, self._refused = [], 0
        for message in messages:
            self._count += 1
            self._waiting.add(self._count)
            self._channel.basic_publish(
                "", message.to, message.body, message.properties, mandatory=True
            )
        while self._waiting:
            self._connection.process_data_events(time_limit=None)
        if self._refused:
            raise Refused(f"{self._refused} of {len(messages)} messages were refused")
        return self._returned

    def _on_answer(self, frame: Any) -> None:
        answer = frame.method
        tag = answer.delivery_tag
        answered = {each for each in self._waiting if each <= tag} if answer.multiple else {tag}
        self._waiting -= answered
        if answer.NAME == "Basic.Nack":
            self._refused += len(answered)
        if not self._waiting:  # let process_data_events return
            self._connection.add_callback_threadsafe(lambda: None)

    def _on_return(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._returned.append(Outgoing(method.routing_key, body, properties))


class Link:
    """A connection with a publisher. `timeout` bounds, in seconds, each use of `answering`."""

    def __init__(self, address: Address) -> None:
        self.timeout = address.timeout
        self.process = os.getpid()
        self.connection = address.connect()
        with self.answering():
            self.publisher = Publisher(self.connection)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Bound all that the block waits for."""
        with bounded(self.connection, self.timeout):
            yield

    @property
    def is_sound(self) -> bool:
        """Whether it can be used: it is open, as far as the server has not said otherwise meanwhile."""
        try:
            self.connection.process_data_events(time_limit=0)
        except UNANSWERED:
            return False
        return bool(self.connection.is_open)

    def close(self) -> None:
        """End it in order; in a forked child nothing happens, since the connection is its parent's."""
        if self.process == os.getpid() and self.connection.is_open:
            with suppress(*UNANSWERED), bounded(self.connection, GOODBYE):
                self.connection.close()

    def __del__(self) -> None:
        """End with the thread it belongs to."""
        if hasattr(self, "connection"):
            self.close()


class Links:
    """One link for each thread of this process, made when first asked for, and replaced when it broke."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._own = threading.local()
        self._all: WeakSet[Link] = WeakSet()

    def get(self) -> Link:
        """Return this thread's link. Raises one of `UNANSWERED`."""
        link: Link | None = getattr(self._own, "link", None)
        if link is None or not link.is_sound:
            self.drop()
            link = self._own.link = Link(self.address)
            self._all.add(link)
        return link

    def drop(self) -> None:
        """Close this thread's link, if it has one."""
        link: Link | None = self._own.__dict__.pop("link", None)
        if link is not None:
            link.close()

    def close(self) -> None:
        """Close the links of all threads; none may be in use."""
        for link in list(self._all):
            link.close()
