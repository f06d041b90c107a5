"""Hand messages to the broker, with the portable facts of whoever enqueued them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.core.context import FACT_REFUSED, current_unit, portable_facts
from scalekit.queue.brokers import default_broker
from scalekit.queue.events import JOB_ENQUEUED, PUBLISH_FAILED
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.execution import task_actor
from scalekit.queue.jobs import milliseconds
from scalekit.queue.lanes import lane_of
from scalekit.queue.storable import is_storable

from dramatiq import Message  # isort: skip - after ours, which says what to install if it is missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.queue.brokers.base import QueueBroker
    from scalekit.queue.models import TaskRecord

NOT_SENT = {"flow", "unique"}  # options of the row that only the row needs


def publish(broker: QueueBroker, messages: Sequence[Any], tasks: Sequence[str]) -> None:
    """Publish `messages` in one call; `tasks` are the names by which they are counted, in the same order.

    Raises `PublishFailed` where the broker did not confirm all of them.
    """
    try:
        broker.enqueue_many(messages)
    except PublishFailed:
        _announce(PUBLISH_FAILED, messages, tasks)
        raise
    _announce(JOB_ENQUEUED, messages, tasks)


def publish_now(broker: QueueBroker, message: Any, delay: int | None) -> None:
    """Publish the message of an actor that nobody has stored, to run in `delay` milliseconds.

    Raises TypeError for a portable fact that is no JSON, `PublishFailed` where the broker does not confirm.
    """
    message.options["scalekit"] = FactsThen().then
    labels = {"task": message.actor_name, "queue": message.queue_name, "id": message.message_id}
    try:
        broker.enqueue(message, delay=delay)
    except PublishFailed:
        PUBLISH_FAILED.emit(**labels)
        raise
    JOB_ENQUEUED.emit(**labels)


def _announce(event: Any, messages: Sequence[Any], tasks: Sequence[str]) -> None:
    for message, task in zip(messages, tasks, strict=True):
        event.emit(task=task, queue=message.queue_name, id=message.message_id)


def message_of(row: TaskRecord, facts: dict[str, Any] | None = None) -> Any:
    """Return the message of `row`; with `facts`, where more is known by now than when it was stored."""
    options = {name: value for name, value in row.options.items() if name not in NOT_SENT}
    if facts is not None:
        options["scalekit"] = facts
    options["published_at"] = milliseconds()
    if row.kept:
        options["database"] = row._state.db  # noqa: SLF001 - Django keeps a row's database there
    if row.kind == "actor":
        return _message(row, row.queue_name, row.path, row.args, row.kwargs, options)
    lane = lane_of(row.queue_name, row.priority)
    actor = task_actor(default_broker(), lane)
    options["backend"] = row.backend
    return _message(row, lane, actor, (row.path, row.args, row.kwargs), {}, options)


def _message(row: TaskRecord, queue: str, actor: str, args: Any, kwargs: Any, options: Any) -> Any:
    message: Message[Any] = Message(
        queue_name=queue,
        actor_name=actor,
        args=tuple(args),
        kwargs=kwargs,
        options=options,
        message_id=str(row.pk),
    )
    return message


class FactsThen:
    """The portable facts at the time of a call, brought up to date where the unit of work learns more.

    What a block bound (a shard) stays what it was at the call; what the unit learns until its transaction
    has committed (the position of that very commit) goes along.
    """

    def __init__(self) -> None:
        """Take the facts. Raises TypeError for one that is no JSON, naming it."""
        unit = current_unit() or {}
        self.then = portable_facts()
        self._bound = {name: v for name, v in self.then.items() if unit.get(name) != v}
        for name, value in self.then.items():
            if not is_storable(value):
                msg = f"The fact {name!r} is portable and no JSON, so no job can be enqueued."
                raise TypeError(msg)

    def now(self) -> dict[str, Any]:
        """Return the facts with what was learnt since; what of that is no JSON is left out, and announced."""
        facts = {**self.then, **portable_facts(), **self._bound}
        for name in [name for name, value in facts.items() if not is_storable(value)]:
            FACT_REFUSED.emit(fact=name)
            del facts[name]
        return facts
