"""What a worker's thread fetches messages with."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ActorNotFound, ConnectionClosed
from dramatiq.message import Message

from scalekit.queue.brokers.redis import scripts
from scalekit.queue.brokers.redis.connections import UNANSWERED
from scalekit.queue.brokers.redis.suspects import HeldMessage
from scalekit.queue.brokers.redis.waiting import Wake
from scalekit.queue.events import MESSAGE_REFUSED
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.messages import DELAYED, flaw_of
from scalekit.queue.records.grouping import GroupCommit, GroupInterrupted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scalekit.queue.brokers.redis.broker import RedisBroker

IDLE = 3.0  # seconds after which an idle worker looks without being woken: Dramatiq's own broker wakes nobody


class RedisConsumer(_RedisConsumer):
    """Fetch in batches, check what was fetched before a worker sees it, and survive a server that goes away.

    One a queue and process, as Dramatiq makes them. Whatever goes wrong with the server is a
    `ConnectionClosed`, upon which Dramatiq tries again; every other error would end its thread.
    """

    def __init__(self, broker: RedisBroker, queue: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue, prefetch, timeout)  # type: ignore[no-untyped-call]  # Dramatiq's
        self._ready: deque[HeldMessage] = deque()  # fetched, and not handed out yet
        self._least = max(1, prefetch // 4)  # of room, for a fetch to be worth its round trip
        self._settled = Event()
        self._acks: GroupCommit[str, None] = GroupCommit(self._acknowledge)
        self._wake = Wake(broker.client, broker.wake_key(queue), broker.timeout)
        broker.heartbeat.add(queue)

    @property
    def outstanding_message_count(self) -> int:
        return int(self.broker.holdings.count(self.queue_name))

    def allow(self, room: int) -> None:
        """Take `room` messages more at the most, from now on; a worker says so when it knows its needs."""
        self.prefetch = self.outstanding_message_count + room
        self._least = 1

    def __next__(self) -> HeldMessage | None:
        with _as_broken_connection():
            if not self._ready:
                self._fill()
        return self._ready.popleft() if self._ready else None

    def ack(self, message: Any) -> None:
        """Forget `message`, in one round trip with what other threads have run meanwhile."""
        try:
            self._acks.submit(message.held_as)
        except GroupInterrupted as error:
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # Dramatiq's

    def ack_many(self, messages: Sequence[Any]) -> None:
        """Forget `messages`, in one round trip."""
        self._acknowledge([message.held_as for message in messages])

    def nack(self, message: Any) -> None:
        with _as_broken_connection():
            self._call(scripts.NACK, message.held_as, _reason(message))
        self._forget([message.held_as])

    def requeue(self, messages: Iterable[Any]) -> None:
        if ids := [message.held_as for message in messages]:
            with _as_broken_connection():
                self._call(scripts.REQUEUE, *ids)
            self._forget(ids)

    def idle(self) -> None:
        """Be woken no more until the next call of `next`: there is no thread for what comes."""
        with _as_broken_connection():
            if self._wake.cancel():
                self._give_back(woken=True)

    def rest(self) -> None:
        """Do as `idle` does, and put back what was fetched and not handed out."""
        with _as_broken_connection():
            self._give_back(woken=self._wake.cancel())

    def close(self) -> None:
        """Put back what was fetched and not handed out."""
        woken = self._wake.is_waiting  # or not: nobody knows
        self._wake.close()
        with _as_broken_connection():
            self._give_back(woken=woken)

    def _give_back(self, *, woken: bool) -> None:
        """Return to the server what is not handed out, and the turn of one that was woken."""
        ids = [message.held_as for message in self._ready]
        self._ready.clear()
        self._forget(ids)  # also if the server does not hear of it now: the next fetch tells it
        if ids or woken:
            self._call(scripts.REQUEUE, *ids)

    def _fill(self) -> None:
        timeout = self.timeout / 1000
        self._settled.clear()
        room = self.prefetch - self.outstanding_message_count
        if room < self._least:
            self._settled.wait(timeout)
        elif self._wake.has_come(timeout):
            next_due = self._fetch(room)
            if next_due is not None:
                self._wake.begin(min(IDLE, next_due))

    def _fetch(self, count: int) -> float | None:
        """Fetch up to `count` messages; return the seconds until one may be there, if there was none."""
        holdings, queue = self.broker.holdings, self.queue_name
        known, most = holdings.count(queue), min(count, 1000)
        lost, due, *found = self._call(scripts.FETCH, most, known, self.broker.heartbeat_timeout)
        ids = [id_.decode() for id_ in found[::3]]
        if lost:
            self._call(scripts.RECALL, *holdings.of(queue), *ids)
        for id_, deaths, data in zip(ids, found[1::3], found[2::3], strict=True):
            self._receive(id_, deaths, data)
        if ids:
            return None
        return float(due / 1000) if due >= 0 else IDLE

    def _receive(self, id_: str, deaths: int, data: bytes) -> None:
        """Have a message ready, or bury it; if that fails it stays unknown, and the next fetch brings it back."""
        if flaw := flaw_of(data, self.queue_name):
            MESSAGE_REFUSED.emit(queue=self.queue_name, reason=flaw, size=len(data))
            self._call(scripts.NACK, id_, flaw)
            return
        message = Message.decode(data)
        was_delayed = message.queue_name.endswith(DELAYED)
        eta = message.options.pop("eta", None)
        message = message.copy(queue_name=self.queue_name, options={"redis_message_id": id_})
        held = HeldMessage(message, id_, deaths)
        wait = 0 if was_delayed or eta is None else int(eta - time.time() * 1000)
        if wait > 0:
            self._postpone(held, wait)
        else:
            self.broker.holdings.add(self.queue_name, [id_])
            self._ready.append(held)

    def _postpone(self, message: HeldMessage, wait: int) -> None:
        try:
            self.broker.retry(message, wait)
        except PublishFailed as error:
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # Dramatiq's

    def _acknowledge(self, ids: Sequence[str]) -> list[None]:
        with _as_broken_connection():
            self._call(scripts.ACK, *ids)
        self._forget(ids)
        return [None] * len(ids)

    def _forget(self, ids: Sequence[str]) -> None:
        self.broker.holdings.remove(self.queue_name, ids)
        if self.prefetch - self.outstanding_message_count >= self._least:
            self._settled.set()

    def _call(self, script: scripts.Script, *arguments: Any) -> Any:
        return self.broker.call(script, self.queue_name, self.broker.broker_id, *arguments)


def _reason(message: Any) -> str:
    error = message._exception  # noqa: SLF001 - Dramatiq has no other name for it
    return "no actor" if isinstance(error, ActorNotFound) else "failed"


@contextmanager
def _as_broken_connection() -> Iterator[None]:
    """Tell Dramatiq in its own words, so that it tries again; it knows one of redis-py's errors only."""
    try:
        yield
    except UNANSWERED as error:
        raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # Dramatiq's
