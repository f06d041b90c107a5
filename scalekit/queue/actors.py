"""Plain Dramatiq actors on the broker of SCALEKIT_QUEUE_BROKER."""

from __future__ import annotations

import inspect
import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync

from scalekit.queue.brokers import default_broker
from scalekit.queue.publishing import Publication

from dramatiq import Actor  # isort: skip - after ours, which says what to install if it is missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.brokers.base import QueueBroker

actors: list[QueueActor] = []


class QueueActor(Actor[Any, Any]):
    """A Dramatiq actor that meets its broker on first use, so that importing it needs none.

    What it sends leaves when the open transactions have committed. Coroutine functions run on the worker's
    own thread, as async Tasks do.
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
        """Send a message when the open transactions have committed; `delay` is in milliseconds or a timedelta."""
        if isinstance(delay, timedelta):
            delay = int(delay.total_seconds() * 1000)
        message = self.message_with_options(args=args, kwargs=kwargs, **options)
        return Publication(self.broker, message, self.actor_name, delay).publish()


def actor(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Declare an actor: ``@actor`` or ``@actor(queue_name="mail", max_retries=5)``, options as Dramatiq's."""
    return partial(QueueActor, **options) if fn is None else QueueActor(fn, **options)
