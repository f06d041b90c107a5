"""One breaker for each broker: another broker, as of the next test, begins with a closed one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from scalekit.core.breaker import Breaker

if TYPE_CHECKING:
    from scalekit.queue.brokers.base import QueueBroker


class Breakers:
    """The breakers of this process for one purpose; each stays open for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._by_broker: WeakKeyDictionary[QueueBroker, Breaker] = WeakKeyDictionary()

    def __getitem__(self, broker: QueueBroker) -> Breaker:
        found = self._by_broker.get(broker)
        if found is None:
            found = self._by_broker.setdefault(broker, Breaker(lambda: self._seconds))
        return found
