"""What the tests of brokers do again and again: publish, take, wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dramatiq
from django.utils.module_loading import import_string

from scalekit.queue.exceptions import PublishFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.queue.brokers import QueueBroker

Make = Callable[..., Any]

QUEUE = "default"
PATIENCE = 20.0  # seconds for what takes a moment


class _Garbling(dramatiq.JSONEncoder):
    def encode(self, data: dict[str, Any]) -> bytes:  # noqa: ARG002 - what it is given goes to waste
        return b"\xff\xfe no message"


@contextmanager
def garbled() -> Iterator[None]:
    """Let every message that is published meanwhile be one that nobody can read."""
    before = dramatiq.get_encoder()
    dramatiq.set_encoder(_Garbling())
    try:
        yield
    finally:
        dramatiq.set_encoder(before)


def eventually(found: Callable[[], Any]) -> Any:
    """Return what `found()` returns once that is true, or after a while what it is."""
    end = time.monotonic() + PATIENCE
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def take(consumer: Any, count: int = 1) -> list[Any]:
    """Take up to `count` messages from a consumer."""
    taken: list[Any] = []

    def enough() -> bool:
        if (message := next(consumer)) is not None:
            taken.append(message)
        return len(taken) >= count

    eventually(enough)
    return taken


@contextmanager
def making(backend: str, options: dict[str, Any]) -> Iterator[Make]:
    """Give a function that makes a broker; all are closed after the block."""
    made: list[QueueBroker] = []

    def make(**more: Any) -> QueueBroker:
        made.append(import_string(backend)("default", **options, **more))
        made[-1].declare_queue(QUEUE)
        return made[-1]

    yield make
    for broker in made:
        broker.close()


def actor(function: Callable[[Any], None], broker: Any, **options: Any) -> Any:
    """Declare an actor as sites that know only Dramatiq do."""
    return dramatiq.actor(broker=broker, **options)(function)


def message(actor: str, *args: Any, **kwargs: Any) -> Any:
    """Return a message as Dramatiq makes it."""
    return dramatiq.Message(
        queue_name=QUEUE, actor_name=actor, args=args, kwargs=kwargs, options={}
    )


def is_published(broker: Any) -> bool:
    """Tell whether the broker confirms a job, which it may not for a moment after its server has started."""
    try:
        broker.enqueue(message("resize"))
    except PublishFailed:
        return False
    return True


def release(broker: Any, seconds: float = 60) -> None:
    """Let what is due within so many seconds be due now, where no server does that."""
    if not broker.stores_delays:
        broker.release_delayed(seconds)
