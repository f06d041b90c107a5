"""Hand a message to the broker: now, or when the open transactions have committed."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.core.context import FACT_REFUSED, current_unit, portable_facts
from scalekit.queue.commits import open_transactions, when_all_commit
from scalekit.queue.events import JOB_ENQUEUED, PUBLISH_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.brokers.base import QueueBroker

logger = logging.getLogger("scalekit.queue")


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way out. `task` is what it is counted by; `published` is called once it is out."""

    broker: QueueBroker
    message: Any
    task: str
    delay: int | None = None  # milliseconds
    published: Callable[[], object] = lambda: None

    def publish(self) -> Any:
        """Publish when every open transaction has committed, and at once if there is none.

        Returns the message. Raises TypeError for what is no JSON, and `PublishFailed` only at once: what
        has committed stands, so a broker that is down by then is logged and announced instead.
        """
        facts = _FactsThen()
        self.message.options["scalekit"] = facts.now()
        self._refuse_what_is_no_json()
        transactions = open_transactions()
        if not transactions:
            return self._hand_over()
        when_all_commit(transactions, lambda: self._hand_over_later(facts))
        return self.message

    def _refuse_what_is_no_json(self) -> None:
        try:
            self.message.encode()
        except (TypeError, ValueError, RecursionError) as error:
            for name, value in self.message.options["scalekit"].items():
                if not _is_json(value):
                    msg = f"The fact {name!r} is portable and no JSON, so no job can be enqueued: {error}"
                    raise TypeError(msg) from error
            raise

    def _hand_over(self) -> Any:
        labels = {"task": self.task, "queue": self.message.queue_name}
        try:
            message = self.broker.enqueue(self.message, delay=self.delay)
        except Exception:
            PUBLISH_FAILED.emit(**labels, id=self.message.message_id)
            raise
        JOB_ENQUEUED.emit(**labels, id=self.message.message_id)
        self.published()
        return message

    def _hand_over_later(self, facts: _FactsThen) -> None:
        try:
            self.message.options["scalekit"] = _without_what_is_no_json(facts.now())
            self._hand_over()
        except Exception as error:  # the write is committed: its request must not answer 500
            logger.exception(
                "Job %s (%s) may be lost: its transaction committed, then publishing failed: %s",
                self.message.message_id,
                self.task,
                error,  # noqa: TRY401 - the line says why, also where tracebacks are cut off
            )


def _without_what_is_no_json(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out, and announce, what was learnt since the call and cannot travel: the job goes without it."""
    for name in [name for name, value in facts.items() if not _is_json(value)]:
        FACT_REFUSED.emit(fact=name)
        del facts[name]
    return facts


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


class _FactsThen:
    """The portable facts at the time of a call, brought up to date where the unit of work learns more.

    What a block bound (a shard) stays what it was at the call; what the unit learns until its transaction
    has committed (the position of that very commit) goes along.
    """

    def __init__(self) -> None:
        unit = current_unit() or {}
        self._then = portable_facts()
        self._bound = {name: v for name, v in self._then.items() if unit.get(name) != v}

    def now(self) -> dict[str, Any]:
        return {**self._then, **portable_facts(), **self._bound}
