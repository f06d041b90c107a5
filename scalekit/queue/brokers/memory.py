"""A broker in the memory of one process: for tests, never for production."""

from __future__ import annotations

import time
from queue import Empty
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dramatiq.brokers.stub import StubBroker, _StubConsumer, _StubMessageProxy
from dramatiq.common import dq_name, q_name
from dramatiq.errors import ActorNotFound
from dramatiq.message import Message

from scalekit.queue.brokers.base import DeadMessage, QueueBroker, QueueStats
from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.jobs import milliseconds
from scalekit.queue.messages import flaw_of, published_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from queue import Queue


class MemoryBroker(QueueBroker, StubBroker):
    """Keep messages in queues of this process; what nobody has run is gone with it."""

    def __init__(self, alias: str, **options: Any) -> None:
        super().__init__(alias, **options)
        self.letters: dict[str, list[DeadMessage]] = {}

    def ping(self, timeout: float = 1.0) -> None:
        """Answer always."""

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Any:
        dead = self.dead_letters_by_queue[q_name(queue_name)]
        return _MemoryConsumer(self, queue_name, dead, prefetch, timeout)

    def enqueue_many(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self.enqueue(message)

    def retry(self, message: Any, delay: int) -> None:
        self.enqueue(message, delay=delay)
        if isinstance(message, _HeldMessage):
            message.holder.ack(message)

    def stats(self, queues: Iterable[str]) -> dict[str, QueueStats]:
        return {queue: self._stats(queue) for queue in queues}

    def dead_messages(self, queue: str, limit: int) -> list[DeadMessage]:
        return self.letters.get(queue, [])[:limit]

    def forget_dead(self, queue: str, ids: Sequence[str]) -> None:
        self.letters[queue] = [one for one in self.letters.get(queue, []) if one.id not in ids]

    def bury(self, queue: str, data: bytes, reason: str) -> None:
        letter = DeadMessage(uuid4().hex, queue, reason, data)
        self.letters.setdefault(queue, []).append(letter)

    def flush_all(self) -> None:
        super().flush_all()
        self.letters.clear()

    def release_delayed(self, within_seconds: float = 0) -> int:
        """Move what is due within that many seconds into its queue now; returns how many messages."""
        until = milliseconds() + within_seconds * 1000
        delays = [self.queues[name] for name in self.delay_queues]
        return sum(self._release(delayed, until) for delayed in delays)

    def _release(self, delayed: Queue[bytes], until: float) -> int:
        waiting = _drained(delayed)
        due = [data for data in waiting if Message.decode(data).options["eta"] <= until]
        for data in waiting:
            if data in due:
                self._deliver(Message.decode(data))
            else:
                delayed.put(data)
            delayed.task_done()
        return len(due)

    def _deliver(self, message: Any) -> None:
        message.options.pop("eta")
        queue = q_name(message.queue_name)
        self.queues[queue].put(message.copy(queue_name=queue).encode())

    def _stats(self, queue: str) -> QueueStats:
        if queue not in self.queues:
            return QueueStats()
        main, delayed = self.queues[queue], self.queues[dq_name(queue)]
        waiting = list(main.queue)
        since = published_at(waiting[0]) if waiting else None
        return QueueStats(
            ready=len(waiting),
            delayed=delayed.qsize(),
            in_flight=main.unfinished_tasks - len(waiting),
            dead=len(self.letters.get(queue, ())),
            waited=0.0 if since is None else max(0.0, time.time() - since / 1000),
        )


class _HeldMessage(_StubMessageProxy):
    def __init__(self, message: Message[Any], holder: _MemoryConsumer) -> None:
        super().__init__(message)
        self.holder, self.is_settled = holder, False


class _MemoryConsumer(_StubConsumer):
    """Dramatiq's, which settles a message once, gives back what was not begun, and sees what it may not hand out."""

    def __init__(
        self, broker: MemoryBroker, queue: str, dead: Any, prefetch: int, timeout: int
    ) -> None:
        broker.declare_queue(q_name(queue))
        super().__init__(broker.queues[queue], dead, prefetch, timeout)  # type: ignore[no-untyped-call]  # Dramatiq's
        self.broker, self.queue_name = broker, queue

    def __next__(self) -> _HeldMessage | None:
        if not self.prefetch_semaphore.acquire(timeout=self.timeout / 1000):
            return None
        try:
            data = self.queue.get(timeout=self.timeout / 1000)
        except Empty:
            self.prefetch_semaphore.release()
            return None
        return self._received(data)

    def ack(self, message: Any) -> None:
        if not message.is_settled:
            self._settle(message)

    def nack(self, message: Any) -> None:
        if not message.is_settled:
            no_actor = isinstance(message._exception, ActorNotFound)  # noqa: SLF001 - it has no other name
            self.dead_letters.append(message)
            queue, reason = q_name(self.queue_name), "no actor" if no_actor else "failed"
            self.broker.bury(queue, message.encode(), reason)
            self._settle(message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Put back in front what nobody has begun."""
        ours = [message for message in messages if not message.is_settled]
        with self.queue.mutex:
            self.queue.queue.extendleft(message.encode() for message in reversed(ours))
            self.queue.unfinished_tasks += len(ours)
            self.queue.not_empty.notify_all()
        for message in ours:
            self._settle(message)

    def _received(self, data: bytes) -> _HeldMessage | None:
        queue = q_name(self.queue_name)
        if flaw := flaw_of(data, queue):
            MESSAGE_REFUSED.emit(queue=queue, reason=flaw, size=len(data))
            self.broker.bury(queue, data, flaw)
            self.queue.task_done()
            self.prefetch_semaphore.release()
            return None
        return _HeldMessage(Message.decode(data), self)

    def _settle(self, message: _HeldMessage) -> None:
        message.is_settled = True
        self.queue.task_done()
        self.prefetch_semaphore.release()


def _drained(queue: Queue[bytes]) -> list[bytes]:
    """Take all that waits."""
    found = []
    while not queue.empty():
        found.append(queue.get())
    return found
