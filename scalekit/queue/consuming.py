"""How a worker takes messages from the broker: Dramatiq's consumer thread, with a gate.

Dramatiq pauses a consumer by closing it, which on RabbitMQ hands the running jobs to somebody else, and keeps
fetching while it drains, so that jobs wait in a process that will not run them. Here a consumer stays, and
behind a shut gate it takes nothing and gives back what no thread has begun.
"""

from __future__ import annotations

import heapq
import logging
import time
from typing import TYPE_CHECKING, Any

from dramatiq.common import q_name
from dramatiq.errors import BrokerConnectionError
from dramatiq.worker import ConsumerThread

from scalekit.queue.lanes import order_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from queue import PriorityQueue

    from scalekit.queue.appetite import Appetite
    from scalekit.queue.gate import Gate
    from scalekit.queue.settling import Settling

logger = logging.getLogger("scalekit.queue")

RESTART = 1.0  # seconds before a consumer that failed begins anew
COURTESY = 0.1  # seconds that a lane leaves to more urgent ones at the most, when a thread is free


class QueueConsumer(ConsumerThread):
    """Takes messages of one queue of the broker while its gate is open.

    A broker's consumer may have three more methods, called on this thread: `allow(count)` before `next()`, to
    take so many more at the most; `rest()` when the gate has shut, to give back what it holds itself; and
    `idle()` instead of `next()`, to keep its connection alive. And one that is called on any, `ack_many(messages)`.
    """

    def __init__(
        self,
        gate: Gate,
        appetite: Appetite,
        peers: Mapping[str, ConsumerThread],
        settling: Settling,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.gate, self.appetite, self.peers, self.settling = gate, appetite, peers, settling
        self.order = order_of(q_name(self.queue_name))
        self.may_have_more = True  # until a look finds nothing
        self.name = f"consumer of {self.queue_name}"

    def run(self) -> None:
        self.running = True
        self.broker.emit_after("consumer_thread_boot", self)
        while self.running:
            try:
                self._consume()
            except BrokerConnectionError as error:
                logger.warning("Queue %s cannot be read, trying again: %s", self.queue_name, error)
            except Exception:  # without this thread nobody here reads the queue
                logger.exception("Queue %s cannot be read, trying again.", self.queue_name)
            if self.running:
                self.close()
                time.sleep(RESTART)
        self.broker.emit_before("consumer_thread_shutdown", self)

    def _consume(self) -> None:
        self.consumer = self.broker.consume(self.queue_name, self.prefetch, self.worker_timeout)
        resting = False
        while self.running:
            if self.gate.is_shut(self.queue_name):
                self._rest(begin=not resting)
                resting = self.may_have_more = True
            else:
                self._take()
                resting = False

    def _take(self) -> None:
        room = self.appetite.room()
        if room:
            self._let_others_go_first()
            room = self.appetite.room()
        if room:
            self._ask("allow", room)
            message = next(self.consumer)  # type: ignore[arg-type]  # it was made a moment ago
            self.may_have_more = message is not None
            if message is not None:
                self.handle_message(message)
        else:
            self._ask("idle")
            self.appetite.wait(self.worker_timeout / 1000)
        self.handle_delayed_messages()

    def _let_others_go_first(self) -> None:
        """Wait until more urgent lanes have looked, but not for ever: one may have lost its server."""
        begin = time.monotonic()
        while self._is_not_its_turn() and time.monotonic() < begin + COURTESY:
            time.sleep(COURTESY / 20)

    def _is_not_its_turn(self) -> bool:
        """Tell whether there may be jobs in a lane that goes first."""
        return any(
            isinstance(peer, QueueConsumer)
            and peer.order < self.order
            and peer.may_have_more
            and not self.gate.is_shut(peer.queue_name)
            for peer in list(self.peers.values())
        )

    def post_process_message(self, message: Any) -> None:
        """Acknowledge or bury `message`; not yet, if it is not written yet how its job has ended."""
        if not self.settling.take(message, self):
            super().post_process_message(message)

    def acknowledge(self, messages: Sequence[Any]) -> None:
        """Acknowledge `messages`, in one call where the broker can; each by itself, and until it is heard, if not."""
        if not self._acknowledged_together(messages):
            for message in messages:
                super().post_process_message(message)

    def _acknowledged_together(self, messages: Sequence[Any]) -> bool:
        ack_many = getattr(self.consumer, "ack_many", None)
        if ack_many is None:
            return False
        try:
            for message in messages:
                self.broker.emit_before("ack", message)
            ack_many(messages)
        except Exception as error:  # noqa: BLE001 - one by one it is met again, and treated as Dramatiq does
            logger.debug("Messages are acknowledged one by one: %s", error)
            return False
        for message in messages:
            self.broker.emit_after("ack", message)
        return True

    def _rest(self, *, begin: bool) -> None:
        self._ask("rest" if begin else "idle")
        give_back(self)
        self.gate.wait(self.worker_timeout / 1000)

    def _ask(self, what: str, *arguments: int) -> None:
        method = getattr(self.consumer, what, None)
        if method is not None:
            method(*arguments)


def give_back(consumer: ConsumerThread) -> None:
    """Return to the broker what `consumer` has taken and no thread has begun."""
    messages = _unbegun(consumer.work_queue, consumer.queue_name)
    if not messages:
        return
    try:
        consumer.requeue_messages([item.message for item in messages])
    except Exception:
        for item in messages:  # they are ours still, as far as the broker knows
            consumer.work_queue.put(item)
        raise


def _unbegun(work: PriorityQueue[Any], queue_name: str) -> list[Any]:
    """Take the messages of one queue out of those that wait for a thread."""
    taken: list[Any] = []
    left: list[Any] = []
    with work.mutex:
        for item in work.queue:
            (taken if item.message.queue_name == queue_name else left).append(item)
        if taken:
            work.queue[:] = left
            heapq.heapify(work.queue)
            work.unfinished_tasks -= len(taken)
            if not work.unfinished_tasks:
                work.all_tasks_done.notify_all()
    return taken
