"""The TASKS backend: ``{"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}``."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from scalekit.queue.checks import check_app_is_installed
from scalekit.queue.frameworks import BACKPORT, PRIMARY, framework
from scalekit.queue.results import mark_enqueued, new_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage
    from django.tasks.backends.base import BaseTaskBackend as Base
else:
    Base = framework().backends.BaseTaskBackend


class OnDramatiq:
    """What the backends of both Tasks frameworks do; each framework's base class does the validating."""

    runs_on_dramatiq = True
    supports_async_task = True
    supports_defer = False
    supports_get_result = False
    supports_priority = False

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Publish `task` when the open transactions have committed; at once if there is none.

        Returns its result, whose id is the message's. Raises TypeError for arguments and facts that are no
        JSON, `PublishFailed` where the broker is needed at once and does not confirm the message.
        """
        from dramatiq import Message

        from scalekit.queue.brokers import default_broker
        from scalekit.queue.execution import task_actor
        from scalekit.queue.publishing import Publication

        self.validate_task(task)  # type: ignore[attr-defined]  # of the framework's base class
        result = new_result(task, args, kwargs)
        broker = default_broker()
        message: Message[None] = Message(
            queue_name=task.queue_name,
            actor_name=task_actor(broker, task.queue_name),
            args=(task.module_path, result.args, result.kwargs),
            kwargs={},
            options={"backend": task.backend},
            message_id=result.id,
        )
        Publication(
            broker, message, task.module_path, published=lambda: mark_enqueued(result)
        ).publish()
        return result

    def check(self, **_: Any) -> Iterator[CheckMessage]:
        """Django asks each backend; ours checks the rest in its app, and here that the app is there."""
        return check_app_is_installed()


class DramatiqBackend(OnDramatiq, Base):  # type: ignore[misc]  # check() yields, Django accepts both
    """Run Tasks on Dramatiq workers; SCALEKIT_QUEUE_BROKER says where they wait.

    Where Django and the backport are both in use, both read TASKS, and each gets a backend of its own
    kind from this one path.
    """

    def __new__(cls, alias: str, params: dict[str, Any]) -> Any:
        # Nothing that the two hand over differs but who calls.
        caller = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001 - who makes it tells the framework
        if caller == BACKPORT != PRIMARY:
            return _backport_twin()(alias, params)
        return super().__new__(cls)


@cache
def _backport_twin() -> type[Any]:
    """Return the same backend over the backport's base class. A subclass's own methods do not come along."""
    return type("DramatiqBackend", (OnDramatiq, framework(BACKPORT).backends.BaseTaskBackend), {})
