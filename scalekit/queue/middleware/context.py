from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware

from scalekit.core.context import FACT_REFUSED, arrived_with, portable_facts
from scalekit.queue.facts import JOB, JOB_ID
from scalekit.queue.jobs import Job, milliseconds

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_entered: ContextVar[AbstractContextManager[None] | None] = ContextVar(
    "scalekit_queue_unit", default=None
)


class Context(Middleware):
    """Let the facts of whoever enqueues travel with the message, and run the job knowing them."""

    def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
        message.options.setdefault("scalekit", portable_facts())
        if delay is None:
            message.options["published_at"] = milliseconds()

    def before_process_message(self, broker: Any, message: Any) -> None:
        unit = arrived_with(_carried(message))
        unit.__enter__()
        _entered.set(unit)
        JOB.set(Job(message))
        JOB_ID.set(str(message.message_id))

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        unit = _entered.get()
        _entered.set(None)
        if unit is not None:
            unit.__exit__(None, None, None)

    after_skip_message = after_process_message


def _carried(message: Any) -> dict[str, Any]:
    carried = message.options.get("scalekit", {})
    if isinstance(carried, dict):
        return carried
    FACT_REFUSED.emit(fact="unknown")
    return {}
