"""Declare queues, once a process, and again where the server has lost one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pika.exceptions import ChannelClosedByBroker

from scalekit.queue.brokers.rabbitmq.address import UNANSWERED
from scalekit.queue.brokers.rabbitmq.queues import (
    QueueNames,
    dead_arguments,
    delay_arguments,
    main_arguments,
)
from scalekit.queue.exceptions import QueueDiffers

if TYPE_CHECKING:
    from pika import BlockingConnection

DIFFERS, MISSING = 406, 404  # AMQP's reply codes


class Declared:
    """Which queues this process has declared."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def forget(self, names: QueueNames) -> None:
        """Declare the queues anew when they are needed again: one of them is gone."""
        self._names.difference_update(names.all())

    def require(
        self, connection: BlockingConnection, names: QueueNames, rung: int | None = None
    ) -> None:
        """Declare the queue, its dead letters first: what dies has to have a place by then."""
        self._require(connection, names.dead, dead_arguments())
        self._require(connection, names.main, main_arguments(names))
        if rung is not None:
            self._require(connection, names.delay(rung), delay_arguments(names, rung))

    def _require(
        self, connection: BlockingConnection, name: str, arguments: dict[str, Any]
    ) -> None:
        if name not in self._names:
            _declare(connection, name, arguments)
            self._names.add(name)


def count(connection: BlockingConnection, name: str) -> int | None:
    """Return how many messages wait in a queue; None where there is no such queue."""
    channel = connection.channel()
    try:
        found = channel.queue_declare(name, passive=True)
    except ChannelClosedByBroker as closed:
        if closed.reply_code == MISSING:
            return None
        raise
    channel.close()
    return int(found.method.message_count)


def purge(connection: BlockingConnection, name: str) -> None:
    """Drop all that waits in a queue, if there is one."""
    channel = connection.channel()
    with suppress(ChannelClosedByBroker):
        channel.queue_purge(name)
        channel.close()


def _declare(connection: BlockingConnection, name: str, arguments: dict[str, Any]) -> None:
    channel = connection.channel()
    try:
        channel.queue_declare(name, durable=True, arguments=arguments)
    except ChannelClosedByBroker as closed:
        if closed.reply_code != DIFFERS:
            raise
        raise QueueDiffers(
            f"RabbitMQ has a queue {name!r} of another kind, as plain Dramatiq declares it: let it run empty "
            f"and delete it (rabbitmqctl delete_queue {name}), or give the broker a namespace of its own, "
            f'as "OPTIONS": {{"namespace": "scalekit"}}. RabbitMQ says: {closed.reply_text}'
        ) from closed
    with suppress(*UNANSWERED):  # it is declared; the connection is looked at before its next use
        channel.close()
