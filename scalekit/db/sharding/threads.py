"""Threads that ask shards on behalf of others, and the connections those threads hold."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter, deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from scalekit.db.conf import settings
from scalekit.db.transactions import is_testing

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]

logger = logging.getLogger("scalekit.db")

# Django closes a connection with CONN_MAX_AGE = 0 when its request ends, of which a thread here hears
# nothing. Closing it after each query instead would have a page connect anew for each.
LINGER_SECONDS = 1.0
IDLE_SECONDS = 30.0  # after which a thread without work ends, and its connections with it


class Crew:
    """The threads of this process, apart for each shard: no shard waits for the threads of another.

    At most SCALEKIT_DB_SHARD_THREADS work on a shard at once; what else there is waits its turn. A
    `lasting` job has a thread beyond those: a stream that its reader has left half-read must not keep
    others waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Worker]] = {}
        self._busy: Counter[str] = Counter()
        self._waiting: dict[str, deque[Job]] = {}

    def submit(self, alias: str, job: Job, *, lasting: bool = False) -> None:
        """Have a thread run `job`, which must not raise. Raises RuntimeError if there are no threads left."""
        with self._lock:
            if not lasting and self._busy[alias] >= settings.SHARD_THREADS:
                self._waiting.setdefault(alias, deque()).append(job)
                return
            worker = self._hired(alias)
            self._busy[alias] += not lasting
        worker.jobs.put((job, lasting))

    def workers(self) -> list[Worker]:
        """Return the threads, idle ones included."""
        threads = [thread for thread in threading.enumerate() if isinstance(thread, Worker)]
        return [worker for worker in threads if worker.crew is self]

    def dismiss(self) -> None:
        """End each thread when it has done what it is at, and wait for that."""
        workers = self.workers()
        for worker in workers:
            worker.jobs.put(None)
        for worker in workers:
            worker.join()

    def next_for(self, worker: Worker, *, lasting: bool) -> tuple[Job, bool] | None:
        """Return a worker's next job when there is one; None when it should end."""
        with self._lock:
            waiting = self._waiting.get(worker.alias)
            if waiting and not lasting:
                return waiting.popleft(), False
            self._busy[worker.alias] -= not lasting
            self._idle.setdefault(worker.alias, []).append(worker)
        for seconds in (LINGER_SECONDS, IDLE_SECONDS):
            try:
                found = worker.jobs.get(timeout=seconds)
            except Empty:
                _close_lingering()
            else:
                if found is None:
                    break
                return found
        return self._parting(worker)

    def _hired(self, alias: str) -> Worker:
        idle = self._idle.get(alias)
        if idle:
            return idle.pop()  # the last that worked: the others may end
        worker = Worker(self, alias)
        worker.start()
        return worker

    def _parting(self, worker: Worker) -> tuple[Job, bool] | None:
        with self._lock:
            idle = self._idle.get(worker.alias, [])
            if worker in idle:
                idle.remove(worker)
                return None
        return worker.jobs.get()  # hired in this very moment


class Worker(threading.Thread):
    """A thread that runs one job after another."""

    def __init__(self, crew: Crew, alias: str) -> None:
        super().__init__(name=f"scalekit-shard-{alias}", daemon=True)
        self.crew, self.alias = crew, alias
        self.jobs: SimpleQueue[tuple[Job, bool] | None] = SimpleQueue()

    def run(self) -> None:
        found = self.jobs.get()
        while found is not None:
            job, lasting = found
            del found  # an idle thread must not keep alive what it has worked on
            try:
                job()
            except Exception:  # or its place among the busy would be lost with the thread
                logger.exception("A job for shard %s failed", self.alias)
            del job
            found = self.crew.next_for(self, lasting=lasting)
        connections.close_all()


def is_worker() -> bool:
    """Return whether this thread asks a shard on behalf of another."""
    return isinstance(threading.current_thread(), Worker)


def tidy_connections() -> None:
    """Do after a job what Django does after a request: give up connections that are broken or too old."""
    for connection in connections.all(initialized_only=True):
        with suppress(Error):  # of one that is broken already
            _tidy(connection)


def _tidy(connection: Any) -> None:
    if is_testing():
        # A test's databases are replaced or dropped, and a connection would be in the way.
        connection.close()
        del connections[connection.alias]
    elif _lingers(connection):
        _close_if_unusable(connection)
    else:
        connection.close_if_unusable_or_obsolete()


def _close_lingering() -> None:
    for connection in connections.all(initialized_only=True):
        if _lingers(connection):
            connection.close()


def _lingers(connection: Any) -> bool:
    config = connection.settings_dict
    return config["CONN_MAX_AGE"] == 0 and not config["OPTIONS"].get("pool")


def _close_if_unusable(connection: Any) -> None:
    if connection.errors_occurred or connection.in_atomic_block or not connection.autocommit:
        connection.close()


crew = Crew()
if hasattr(os, "register_at_fork"):  # not on Windows
    # The parent's threads do not exist in the child, and a lock they held stays locked there.
    os.register_at_fork(after_in_child=crew.__init__)  # type: ignore[misc]  # begins anew
