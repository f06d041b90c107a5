"""A relay process: threads that do the duties, each on its own schedule, until told to stop.

Each duty has a thread for each database it is done for: a database or a broker that hangs holds up nothing
else. Connections of what is seldom done are closed in between.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from importlib import import_module
from threading import Event, Thread
from typing import TYPE_CHECKING

from django.db import connections, reset_queries
from django.db.utils import Error as DatabaseError
from django.db.utils import InterfaceError, OperationalError

from scalekit.core.context import unit_of_work
from scalekit.queue.duties import Duty, duties
from scalekit.queue.events import DUTY_DONE, DUTY_FAILED
from scalekit.queue.leadership import hold, let_go
from scalekit.queue.stopping import StopOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("scalekit.queue")

MODULES = ("relay", "sweeping", "housekeeping", "limits.waiting", "cron.firing")

LEAST_LEASE = 15.0  # seconds
LONGEST_PAUSE = 30.0  # seconds between two attempts of what fails
SELDOM = 10.0  # seconds; what is done more rarely keeps no connection


class RelayProcess:
    """All duties of this process. `run` returns after `stop`, at the latest `grace` seconds later."""

    def __init__(self, grace: float = 5.0) -> None:
        self._grace = grace
        self._told = StopOrder()
        self._stop = Event()

    def run(self) -> None:
        threads = [
            Thread(target=_keep_doing, args=(duty, place, self._stop), daemon=True)
            for duty, place in all_duties()
        ]
        for thread in threads:
            thread.start()
        self._told.wait()
        self._stop.set()
        end = time.monotonic() + self._grace
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def stop(self) -> None:
        """Let what is being done finish, and begin nothing; a signal handler may call this."""
        self._told.give()


def do_all_once() -> bool:
    """Do each duty until there is no more to do; tell whether none failed."""
    results = []
    for duty, database in all_duties():
        while more := _do(duty, database):
            pass
        results.append(more)
    return None not in results


def all_duties() -> Iterator[tuple[Duty, str]]:
    """Give every duty with each of the databases that it is done for."""
    for name in MODULES:
        import_module(f"scalekit.queue.{name}")
    for duty in duties.values():
        for database in duty.places():
            yield duty, database


def _keep_doing(duty: Duty, database: str, stop: Event) -> None:
    failures = 0
    while not stop.is_set():
        more = _do(duty, database)
        failures = failures + 1 if more is None else 0
        if failures:
            stop.wait(_pause(duty, failures))
        elif not more:
            _rest(duty, database, stop)
    if duty.exclusive:
        with suppress(DatabaseError):
            let_go(database, duty.name)
    connections.close_all()


def _pause(duty: Duty, failures: int) -> float:
    doubled: float = max(1.0, duty.every) * 2 ** min(failures - 1, 10)
    return min(LONGEST_PAUSE, doubled)


def _rest(duty: Duty, database: str, stop: Event) -> None:
    try:
        if duty.every > SELDOM:
            connections[database].close()
        duty.wait(database, duty.every, stop)
    except Exception as error:  # noqa: BLE001 - it was waiting for the database, which went away
        logger.info("Duty %s of database %r waits without it: %s", duty.name, database, error)
        connections.close_all()
        stop.wait(duty.every)


def _do(duty: Duty, database: str) -> bool | None:
    """Do it; tell whether there is more to do at once, None where it failed."""
    began = time.perf_counter()
    reset_queries()
    try:
        if duty.exclusive and not hold(database, duty.name, max(LEAST_LEASE, 3 * duty.every)):
            return False
        with unit_of_work():
            more = bool(duty.run(database))
    except Exception as error:  # noqa: BLE001 - whatever it was, the next run may go well
        _announce(duty, database, error)
        return None
    duration = round(time.perf_counter() - began, 6)
    DUTY_DONE.emit(duty=duty.name, database=database, duration=duration)
    return more


def _announce(duty: Duty, database: str, error: Exception) -> None:
    why = str(error).strip() or type(error).__name__
    is_outage = isinstance(error, (OperationalError, InterfaceError))
    logger.error(
        "Duty %s on database %r failed and will be done again: %s",
        duty.name,
        database,
        why,
        exc_info=None if is_outage else error,  # of a server that is away a traceback says nothing
    )
    DUTY_FAILED.emit(duty=duty.name, database=database, why=why)
    connections.close_all()
