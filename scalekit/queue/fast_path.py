"""The fast path: publish right after the commit. Whatever it misses lies in the outbox, for the relay."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from scalekit.queue.breakers import Breakers
from scalekit.queue.brokers import default_broker
from scalekit.queue.claiming import claim_unpublished, confirm
from scalekit.queue.commits import is_around_a_test, real_transactions, when_all_commit
from scalekit.queue.events import FAST_PATH_LEFT
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.publishing import FactsThen, message_of, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from scalekit.queue.brokers.base import QueueBroker
    from scalekit.queue.models import TaskRecord

logger = logging.getLogger("scalekit.queue")

BREAK_SECONDS = 5.0  # for which a broker that failed is left alone by this process
PROBE_SECONDS = 0.5  # that one request in that time may wait for a broker that hangs
HEAD_START = 2.0  # seconds for which the relay leaves a new row to the fast path

breakers = Breakers(BREAK_SECONDS)


def depart(connection: BaseDatabaseWrapper, rows: Sequence[TaskRecord], facts: FactsThen) -> None:
    """Publish `rows` once the transaction of `connection` has committed; at once if none is open."""
    departure = _departure_with_this_fate(connection)
    if departure is not None:
        departure.add(rows, facts)
        return
    departure = Departure(connection.alias)
    departure.add(rows, facts)
    connection.on_commit(departure)


def _departure_with_this_fate(connection: BaseDatabaseWrapper) -> Departure | None:
    """Return the departure that is dropped exactly if what is put now is rolled back.

    It was registered in all the savepoints that are open now. Those it had beyond them were released since:
    Django drops a callback when one of its savepoints rolls back. Tests that capture callbacks expect one
    for each call.
    """
    if not connection.in_atomic_block or is_around_a_test(connection):
        return None
    now = set(connection.savepoint_ids)
    for savepoints, callback, *_ in reversed(connection.run_on_commit):
        if isinstance(callback, Departure) and now <= savepoints:
            return callback
    return None


class Departure:
    """Rows of one transaction that leave together, in one call of the broker."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._rows: list[tuple[TaskRecord, FactsThen]] = []
        self._since = time.monotonic()

    def add(self, rows: Sequence[TaskRecord], facts: FactsThen) -> None:
        self._rows += [(row, facts) for row in rows]

    def __call__(self) -> None:
        """Publish, but not before what other databases have open has committed too: a job may read there."""
        if others := [c for c in real_transactions() if c.in_atomic_block]:
            when_all_commit(others, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        try:
            self._publish()
        except PublishFailed as error:
            logger.warning("%d jobs wait for the relay: %s", len(self._rows), error)
        except Exception:  # the write is committed: its request must not answer 500
            logger.exception(
                "%d jobs wait for the relay: publishing them after the commit failed",
                len(self._rows),
            )

    def _publish(self) -> None:
        broker = default_broker()
        if not _may_try(broker):
            FAST_PATH_LEFT.emit(database=self._database, jobs=len(self._rows))
            return
        if leaving := self._still_ours():
            rows = [row for row, _ in leaving]
            _hand_over(broker, rows, [message_of(row, facts.now()) for row, facts in leaving])
            confirm(self._database, rows)

    def _still_ours(self) -> list[tuple[TaskRecord, FactsThen]]:
        """Return what the relay has not taken. After a long transaction it may, so that is claimed from it."""
        if time.monotonic() - self._since < HEAD_START / 2:
            return self._rows
        claimed = {
            row.pk: row
            for row in claim_unpublished(self._database, [row.pk for row, _ in self._rows])
        }
        return [(claimed[row.pk], facts) for row, facts in self._rows if row.pk in claimed]


def _may_try(broker: QueueBroker) -> bool:
    """Tell whether to publish; a broker that has failed is asked first, which takes no longer than a probe."""
    breaker = breakers[broker]
    if not breaker.is_open:
        return True
    if not breaker.allows():
        return False
    try:
        broker.ping(PROBE_SECONDS)
    except BrokerUnreachable:
        breaker.failed()
        return False
    return True


def _hand_over(broker: QueueBroker, rows: Sequence[TaskRecord], messages: Sequence[Any]) -> None:
    try:
        publish(broker, messages, [row.path for row in rows])
    except PublishFailed:
        breakers[broker].failed()
        raise
    breakers[broker].succeeded()
