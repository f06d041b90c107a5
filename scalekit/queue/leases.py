"""Signs of life: while a worker runs a job, the job is its own."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from django.db import Error, connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from scalekit.queue.conf import settings
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from scalekit.queue.jobs import Job

logger = logging.getLogger("scalekit.queue")

PAUSE = 1.0  # seconds until the next attempt, where a database does not answer


def lease() -> timedelta:
    """Return for how long a job is its worker's without a sign of life."""
    return timedelta(seconds=settings.LEASE_SECONDS)


@dataclass(slots=True, eq=False)
class Claiming:
    """A thread that tries to make a job its own. `is_alone`: no other one here has had the job since it began."""

    is_alone: bool


class Held:
    """The jobs that the threads of this process run."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Hold none. A process that was forked off runs none of its parent's jobs."""
        self._lock = Lock()
        self._jobs: dict[UUID, Job] = {}
        self._claiming: dict[UUID, list[Claiming]] = {}

    @contextmanager
    def claiming(self, id: UUID) -> Iterator[Claiming]:  # noqa: A002 - as in the table
        """Let others know for the block that this thread claims the job `id`."""
        with self._lock:
            others = self._claiming.setdefault(id, [])
            mine = Claiming(is_alone=not others and id not in self._jobs)
            for other in others:
                other.is_alone = False
            others.append(mine)
        try:
            yield mine
        finally:
            with self._lock:
                others.remove(mine)
                if not others:
                    self._claiming.pop(id, None)

    def add(self, job: Job) -> None:
        with self._lock:
            self._jobs[_record(job).pk] = job

    def discard(self, job: Job) -> None:
        """Hold `job` no more; nothing happens where another thread has taken over what it was."""
        with self._lock:
            if self._jobs.get(_record(job).pk) is job:
                del self._jobs[_record(job).pk]

    def of(self, database: str) -> list[Job]:
        with self._lock:
            return [job for job in self._jobs.values() if job.database == database]


held = Held()


class LeaseKeeper:
    """Renew the leases of all held jobs, three times as often as they run out.

    One thread for each database, so that one which hangs costs no job of another its lease; in each round one
    UPDATE, however many jobs, and a look at which of them are to be cancelled. A job that was taken over
    meanwhile is left alone. A database that is down is asked again every second: if it is back before another
    worker has taken the job over, nothing has happened.
    """

    def __init__(self) -> None:
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        self._stop.clear()
        self._threads = [
            Thread(target=self._run, args=[database], name=f"leases {database}", daemon=True)
            for database in settings.DATABASES
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, once no job runs any more; one whose database hangs ends with the process."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PAUSE)

    def _run(self, database: str) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            jobs = held.of(database)
            pause = settings.LEASE_SECONDS / 3 if not jobs or _renewed(database, jobs) else PAUSE
        connections.close_all()


def _renewed(database: str, jobs: list[Job]) -> bool:
    try:
        connections[database].close_if_unusable_or_obsolete()
        renew(database, jobs)
    except Error as error:
        logger.warning("The leases in database %r wait: %s", database, error)
        connections[database].close()
        return False
    except Exception:  # whatever it is, the jobs of this process need their leases
        logger.exception("The leases in database %r wait", database)
        return False
    return True


def renew(database: str, jobs: Iterable[Job]) -> None:
    """Renew the leases of `jobs`, and interrupt those that are to be cancelled.

    A row that is locked is being ended, or taken over: that is not waited for. One that was swept meanwhile
    is due no more, or nobody would sweep it again when its worker dies after all.
    """
    running = {_record(job).pk: job for job in jobs}
    rows = TaskRecord.objects.using(database)
    skips = connections[database].features.has_select_for_update_skip_locked
    with transaction.atomic(using=database):
        locked = rows.filter(_ours(running.values())).select_for_update(skip_locked=skips)
        ours = dict(locked.values_list("pk", "cancel_asked"))
        rows.filter(pk__in=ours).update(
            leased_until=Now() + lease(), publish_at=None, publications=F("publications") + 1
        )
    for id_, is_asked in ours.items():
        if is_asked:
            _interrupt(running[id_])


def _ours(jobs: Iterable[Job]) -> Q:
    """Select the rows of `jobs` that nobody has taken over."""
    by_attempt: dict[int, list[Any]] = defaultdict(list)
    for job in jobs:
        by_attempt[_record(job).attempt].append(_record(job).pk)
    chosen = Q(pk__in=[])
    for attempt, ids in by_attempt.items():
        chosen |= Q(attempt=attempt, pk__in=ids)
    return Q(chosen, status=Status.RUNNING)


def _interrupt(job: Job) -> None:
    from scalekit.queue.cancelling import interrupt

    interrupt(job)


def _record(job: Job) -> TaskRecord:
    if job.record is None:
        msg = "Only a job that is claimed has a lease."
        raise ValueError(msg)
    return job.record


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=held.forget)
