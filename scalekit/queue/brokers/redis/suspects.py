"""Messages that the server is asked about before they are begun: suspects, and those in doubt.

A worker that dies holds more than it runs. The first time that counts against everything it held; from then
on only what it had begun is counted, so that jobs do not go to the dead letters for lying beside a deadly one.

A process that was silent for too long (stopped, starved, cut off) may have been taken for dead, and what it had
fetched may be another's by now.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from dramatiq import MessageProxy, Middleware
from dramatiq.middleware import SkipMessage

from scalekit.queue.exceptions import BrokerUnreachable

if TYPE_CHECKING:
    from dramatiq import Message

logger = logging.getLogger("scalekit.queue")


class HeldMessage(MessageProxy):
    """A message that this process has fetched under `held_as`; `deaths` workers have died with it."""

    def __init__(self, message: Message[Any], held_as: str, deaths: int = 0) -> None:
        super().__init__(message)
        self.held_as, self.deaths, self.fetched = held_as, deaths, time.monotonic()
        # What is asked for most, some thirty times a job, and would be looked up in the message each time.
        self.options, self.message_id = message.options, message.message_id
        self.actor_name, self.queue_name = message.actor_name, message.queue_name


class Suspects(Middleware):
    """Begin no suspect before the server knows, and nothing that another worker has by now."""

    def before_process_message(self, broker: Any, message: Any) -> None:
        if not isinstance(message, HeldMessage):
            return
        if not message.deaths and broker.heartbeat.vouches_for(message.fetched):
            return
        try:
            is_held = broker.begin(message)
        except BrokerUnreachable as error:
            logger.warning(
                "Job %s is run without the broker knowing: %s", message.message_id, error
            )
            return
        if not is_held:
            msg = "Another worker has the job by now."
            raise SkipMessage(msg)
