"""Plain Dramatiq actors on the broker of SCALEKIT_QUEUE_BROKER."""

from __future__ import annotations

import inspect
import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db.models.functions import Now

from scalekit.queue.brokers import default_broker
from scalekit.queue.commits import open_transactions
from scalekit.queue.exceptions import NotKeepable
from scalekit.queue.ids import new_id
from scalekit.queue.publishing import publish_now
from scalekit.queue.storable import is_storable

from dramatiq import Actor  # isort: skip - after ours, which says what to install if it is missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.brokers.base import QueueBroker

LONGEST_IN_BROKER = 15 * 60_000  # milliseconds

actors: list[QueueActor] = []


class QueueActor(Actor[Any, Any]):
    """A Dramatiq actor that meets its broker on first use, so that importing it needs none.

    What it sends in a transaction lies in the outbox until that has committed; outside one it goes to the
    broker at once. Coroutine functions run on the worker's own thread, as async Tasks do.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        actor_name: str | None = None,
        queue_name: str = "default",
        priority: int = 0,
        **options: Any,
    ) -> None:
        self.fn = async_to_sync(fn) if inspect.iscoroutinefunction(fn) else fn
        self.actor_name = actor_name or fn.__name__
        self.queue_name, self.priority, self.options = queue_name, priority, options
        self.logger = logging.getLogger(f"{fn.__module__}.{self.actor_name}")
        self.__doc__ = fn.__doc__
        actors.append(self)

    @property
    def broker(self) -> QueueBroker:  # type: ignore[override]  # never set, always found
        """The configured broker, on which the actor is declared by now."""
        broker = default_broker()
        self.declare_on(broker)
        return broker

    def declare_on(self, broker: QueueBroker) -> None:
        """Make this actor known to `broker`.

        Raises ValueError for an option that no middleware knows, or a name that another actor has.
        """
        known = broker.actors.get(self.actor_name)
        if known is self:
            return
        if known is not None:
            msg = f"There is another actor {self.actor_name!r}; give one an actor_name of its own."
            raise ValueError(msg)
        if unknown := set(self.options) - broker.actor_options:
            msg = f"Actor {self.actor_name!r} has options that nothing reads: {', '.join(unknown)}."
            raise ValueError(msg)
        broker.declare_actor(self)

    def send_with_options(
        self,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        delay: timedelta | int | None = None,
        **options: Any,
    ) -> Any:
        """Send a message when the open transaction has committed, at once if there is none.

        `delay` is in milliseconds or a timedelta; a long one is waited for in the database. Returns the
        message. Raises TypeError for what is no JSON, and without a transaction `PublishFailed`.
        """
        if isinstance(delay, timedelta):
            delay = int(delay.total_seconds() * 1000)
        broker = self.broker
        message = self.message_with_options(args=args, kwargs=kwargs, **options)
        message = message.copy(message_id=str(new_id()))
        message.encode()  # raises TypeError for what is no JSON
        if open_transactions() or _is_for_the_database(broker, delay):
            _store(message, delay)
        else:
            publish_now(broker, message, delay)
        return message


def _is_for_the_database(broker: QueueBroker, delay: int | None) -> bool:
    """Tell whether a delay is better kept by the database than by the broker, or by a worker's memory."""
    return bool(delay) and (not broker.stores_delays or (delay or 0) > LONGEST_IN_BROKER)


def _store(message: Any, delay: int | None) -> None:
    from scalekit.queue.models import TaskRecord
    from scalekit.queue.outbox import put

    row = TaskRecord(
        id=UUID(message.message_id),
        kind="actor",
        path=message.actor_name,
        queue_name=message.queue_name,
        args=list(message.args),
        kwargs=dict(message.kwargs),
        options=dict(message.options),
        kept=False,  # once it is published, the broker's own means hold
    )
    if not is_storable([row.args, row.kwargs, row.options]):
        raise NotKeepable
    if delay:
        row.publish_at = row.run_after = Now() + timedelta(milliseconds=delay)
    put([row])


def actor(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Declare an actor: ``@actor`` or ``@actor(queue_name="mail", max_retries=5)``, options as Dramatiq's."""
    return partial(QueueActor, **options) if fn is None else QueueActor(fn, **options)
