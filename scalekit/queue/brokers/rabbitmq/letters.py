"""The dead letters of a queue. A queue can only be read by taking; what is taken goes back when the channel closes."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from scalekit.queue.brokers.base import DeadMessage
from scalekit.queue.brokers.rabbitmq.declaring import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pika import BlockingConnection

    from scalekit.queue.brokers.rabbitmq.queues import QueueNames

REASON, DEATHS = "x-scalekit-reason", "x-scalekit-deaths"  # headers

LOOKS, PAUSE = 50, 0.01  # seconds

# What RabbitMQ itself moves to the dead letters, in its words and ours.
OF_THE_SERVER = {"delivery_limit": "died", "rejected": "failed"}


def dead_messages(
    connection: BlockingConnection, names: QueueNames, limit: int
) -> list[DeadMessage]:
    """Return up to `limit` dead letters, the oldest first."""
    there = count(connection, names.dead) or 0
    with _taken(connection, names, min(limit, there)) as (_, taken):
        letters = [_letter(names.queue, properties, body) for _, properties, body in taken]
    _wait_for(connection, names, there)
    return letters


def forget(connection: BlockingConnection, names: QueueNames, ids: Sequence[str]) -> None:
    """Remove the dead letters with these ids: one for each time that an id is named."""
    wanted, there = Counter(ids), count(connection, names.dead) or 0
    with _taken(connection, names, there) as (channel, taken):
        for method, properties, body in taken:
            id_ = _id(properties, body)
            if wanted[id_]:
                wanted[id_] -= 1
                channel.basic_ack(method.delivery_tag)
            if not wanted.total():
                break
    _wait_for(connection, names, there - len(ids) + wanted.total())


def _wait_for(connection: BlockingConnection, names: QueueNames, there: int) -> None:
    """Give the server a moment to put back what was taken, for those who look next."""
    for _ in range(LOOKS):
        if (count(connection, names.dead) or 0) >= there:
            return
        connection.sleep(PAUSE)


@contextmanager
def _taken(connection: BlockingConnection, names: QueueNames, most: int) -> Iterator[Any]:
    channel = connection.channel()
    try:
        yield channel, _take(channel, names.dead, most)
    finally:
        if channel.is_open:
            channel.close()


def _take(channel: Any, queue: str, most: int) -> Iterator[Any]:
    for _ in range(most):
        taken = channel.basic_get(queue)
        if taken[0] is None:
            return
        yield taken


def _letter(queue: str, properties: Any, body: bytes) -> DeadMessage:
    headers = properties.headers or {}
    reason = headers.get(REASON) or _reason_of_the_server(headers)
    return DeadMessage(_id(properties, body), queue, str(reason), body, count_in(headers, DEATHS))


def count_in(headers: dict[str, Any], name: str) -> int:
    """Return what a header counts; whoever may publish may write anything there."""
    value = headers.get(name)
    return max(0, value) if isinstance(value, int) else 0


def _reason_of_the_server(headers: dict[str, Any]) -> str:
    with suppress(KeyError, TypeError, IndexError):
        reason = str(headers["x-death"][0]["reason"])
        return OF_THE_SERVER.get(reason, reason)
    return "unknown"


def _id(properties: Any, body: bytes) -> str:
    """Name a letter by all that lasts: the server gives it no name of its own."""
    return sha256(f"{properties.message_id} ".encode() + body).hexdigest()[:32]
