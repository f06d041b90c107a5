"""Which queues are paused: rows of `PausedQueue`, which every worker process looks at."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from django.db import Error, ProgrammingError, connections

from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from scalekit.queue.gate import Gate
    from scalekit.queue.models import PausedQueue

logger = logging.getLogger("scalekit.queue")

LOOK = 2.0  # seconds between two looks


def paused_queues() -> frozenset[str]:
    """Return the names of the queues from which no jobs may be taken. Raises `DatabaseError`."""
    from scalekit.queue.models import PausedQueue

    alias = settings.DATABASES[0]
    return frozenset(PausedQueue.objects.using(alias).values_list("queue_name", flat=True))


def paused() -> list[PausedQueue]:
    """Return the rows of the queues that are paused, by name."""
    from scalekit.queue.models import PausedQueue

    return list(PausedQueue.objects.using(settings.DATABASES[0]).order_by("queue_name"))


def pause(queue: str, *, by: str = "") -> bool:
    """Let no worker begin jobs of `queue`; False if it was paused already. `by` is for people to read."""
    from scalekit.queue.models import PausedQueue

    rows = PausedQueue.objects.using(settings.DATABASES[0])
    _row, is_new = rows.get_or_create(queue_name=queue, defaults={"by": by})
    return is_new


def resume(queue: str) -> bool:
    """Let workers begin jobs of `queue` again; False if it was not paused."""
    from scalekit.queue.models import PausedQueue

    rows = PausedQueue.objects.using(settings.DATABASES[0])
    return bool(rows.filter(queue_name=queue).delete()[0])


class PauseWatch(threading.Thread):
    """Keeps a gate as the rows say, on a thread and a connection of its own.

    While the database cannot be asked, the gate stays as it is: shut, where it was never asked.
    """

    def __init__(self, gate: Gate, look: float = LOOK) -> None:
        super().__init__(name="paused queues", daemon=True)
        self.gate, self.pause = gate, look
        self._stop_asked = threading.Event()
        self._failing = False

    def run(self) -> None:
        try:
            self._look()
            while not self._stop_asked.wait(self.pause):
                self._look()
        finally:
            connections.close_all()

    def stop(self) -> None:
        """Look no more."""
        self._stop_asked.set()

    def _look(self) -> None:
        connection = connections[settings.DATABASES[0]]
        try:
            connection.close_if_unusable_or_obsolete()
            self.gate.pause(paused_queues())
            self._failing = False
        except Error as error:  # InterfaceError, too, which is no DatabaseError
            self._complain(error)
        finally:
            connection.close_if_unusable_or_obsolete()

    def _complain(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            hint = "Run manage.py migrate." if isinstance(error, ProgrammingError) else ""
            logger.error(
                "Which queues are paused cannot be read, so that stays as it was; %s %s",
                str(error).strip().partition("\n")[0],
                hint,
            )
