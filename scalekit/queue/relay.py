"""The relay: publish what is due in the outbox, whoever left it there.

That is what the fast path missed, what was put off until now, what is to be tried again, and what the broker
lost. Any number of relays may run; each row is published by the one that has claimed it. Killed between any
two steps, a relay leaves at most one batch that is published twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scalekit.core.context import arrived_with, demanding, demands, unit_of_work
from scalekit.queue.breakers import Breakers
from scalekit.queue.brokers import default_broker
from scalekit.queue.claiming import BATCH, bury, claim_due, confirm, give_back
from scalekit.queue.duties import duty
from scalekit.queue.events import RELAY_BURIED, RELAYED
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.leadership import beat
from scalekit.queue.listening import wait
from scalekit.queue.publishing import message_of, publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scalekit.queue.models import TaskRecord

logger = logging.getLogger("scalekit.queue")

POLL = 1.0  # seconds
PROBE_SECONDS = 1.0  # between two looks at a broker that does not answer
PUT_OFF = 30.0  # seconds until a row that alone could not be published is tried again
REFUSALS = 3  # in a row, after which it is no matter of single rows

breakers = Breakers(PROBE_SECONDS)


@duty("relay", every=POLL, exclusive=False, wait=wait)
def relay(database: str) -> bool:
    """Publish one batch of what is due in `database`; tell whether there may be more."""
    beat(database, "relay")
    if not _broker_answers():
        return False
    with unit_of_work():
        rows = claim_due(database)
        # The claim is a write, after all that is in the rows: whoever runs them must see it.
        learnt = demands()
    if rows:
        _send(database, rows, learnt)
    return len(rows) == BATCH


def _broker_answers() -> bool:
    """Tell whether to publish; a broker that failed is asked first, so that no row is taken in vain."""
    breaker = breakers[default_broker()]
    return not breaker.is_open or (breaker.allows() and _pings())


def _pings() -> bool:
    broker = default_broker()
    breaker = breakers[broker]
    try:
        broker.ping()
    except BrokerUnreachable:
        breaker.failed()
        return False
    breaker.succeeded()
    return True


def _send(database: str, rows: Sequence[TaskRecord], learnt: dict[str, Any]) -> None:
    sound = list(_with_messages(database, rows, learnt))
    try:
        _publish(sound)
    except PublishFailed as error:
        logger.warning("The relay could not publish %d jobs: %s", len(sound), error)
        if _pings():
            _send_one_by_one(database, sound)
        else:
            give_back(database, [row for row, _ in sound], 0.0)
    except Exception:  # noqa: BLE001 - one of them cannot be published; alone, it says why
        _send_one_by_one(database, sound)
    else:
        confirm(database, [row for row, _ in sound])
        RELAYED.emit(database=database, jobs=len(sound), late=_lateness(rows))


def _with_messages(
    database: str, rows: Sequence[TaskRecord], learnt: dict[str, Any]
) -> Iterator[tuple[TaskRecord, Any]]:
    for row in rows:
        try:
            yield row, message_of(row, _met(row.options.get("scalekit", {}), learnt))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, its neighbours leave
            _bury(database, row, error)


def _met(carried: dict[str, Any], learnt: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that a row carries, with the demands of this unit of work met too."""
    if not learnt:
        return carried
    known = {name: value for name, value in carried.items() if name in learnt}
    with arrived_with(known), demanding([learnt]):
        return {**carried, **demands()}


def _publish(pairs: Sequence[tuple[TaskRecord, Any]]) -> None:
    messages = [message for _, message in pairs]
    publish(default_broker(), messages, [row.path for row, _ in pairs])


def _send_one_by_one(database: str, pairs: Sequence[tuple[TaskRecord, Any]]) -> None:
    """Find the rows for which publishing fails; the others leave."""
    refused = 0
    for at, (row, message) in enumerate(pairs):
        try:
            _publish([(row, message)])
        except PublishFailed:
            refused += 1
            give_back(database, [row], PUT_OFF)
        except Exception as error:  # noqa: BLE001 - as above
            _bury(database, row, error)
        else:
            refused = 0
            confirm(database, [row])
        if refused == REFUSALS:
            breakers[default_broker()].failed()
            give_back(database, [row for row, _ in pairs[at + 1 :]], 0.0)
            return


def _bury(database: str, row: TaskRecord, error: Exception) -> None:
    bury(database, row, error)
    RELAY_BURIED.emit(task=row.path, queue=row.queue_name, id=str(row.pk), why=str(error))
    logger.error("Job %s (%s) can never be published: %s", row.pk, row.path, error)


def _lateness(rows: Sequence[Any]) -> float:
    """Return for how many seconds the first of `rows` to be due has waited for a relay."""
    late: list[float] = [(row.now - row.publish_at).total_seconds() for row in rows]
    return max(0.0, *late)
