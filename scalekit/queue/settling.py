"""Jobs that went well, until that is written down: many in one statement, while their threads run others.

To write that a job has ended takes a round trip to the database and a wait for its disk, which is longer than a
short job takes. So a thread does not wait for it: it leaves the end of its job here and begins the next one,
unless it is the one that writes, for all that have come by then.

Nothing else changes its order. The row says that the job has ended before signals and events do, which know
its facts, and before its message is acknowledged; until then its lease is kept. What is not plain (an error,
progress, a job that others wait for) is not put off, and what cannot be written together takes the longer way,
by itself. A process that is killed has its jobs run again, those that it had put off too: for each of its
threads there are few.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Any

from django.db import close_old_connections

from scalekit.queue.middleware.events import announce
from scalekit.queue.middleware.records import settle
from scalekit.queue.middleware.signals import tell
from scalekit.queue.records.together import end_together, plain_ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.queue.consuming import QueueConsumer
    from scalekit.queue.jobs import Job
    from scalekit.queue.records.steps import Ending

logger = logging.getLogger("scalekit.queue")

SHARE = 2  # ends that may be unwritten, for each thread


@dataclass(frozen=True, slots=True)
class PutOff:
    """A job whose end is not written yet; `context` knows its facts."""

    job: Job
    ending: Ending
    context: Context


@dataclass(frozen=True, slots=True)
class Left:
    """What a thread has put off, with its message, and who is to acknowledge that."""

    what: PutOff
    message: Any
    consumer: QueueConsumer


_settling: ContextVar[Settling | None] = ContextVar("scalekit_queue_settling", default=None)
_put_off: ContextVar[PutOff | None] = ContextVar("scalekit_queue_put_off", default=None)


def put_off(job: Job) -> bool:
    """Put off to write that `job` has succeeded; False where this thread may not, or the job is no plain one."""
    ending = None if _settling.get() is None else plain_ending(job)
    if ending is None:
        return False
    job.is_put_off = True
    _put_off.set(PutOff(job, ending, copy_context()))
    return True


class Settling:
    """What the threads of one worker have put off, by database: one that is down holds up only its own jobs."""

    def __init__(self, threads: int) -> None:
        self._most = SHARE * threads
        self._lines: dict[str, Line] = {}

    def begin(self) -> None:
        """Let this thread put off the ends of its jobs."""
        _settling.set(self)

    def take(self, message: Any, consumer: QueueConsumer) -> bool:
        """Take what this thread has just put off; False if it has not, and `message` is to be settled now."""
        what = _put_off.get()
        if what is None:
            return False
        _put_off.set(None)
        try:
            self._line_of(str(what.job.database)).leave(Left(what, message, consumer))
            close_old_connections()  # what comes after a job, and was put off with it
        except Exception:  # it would end this thread
            logger.exception("Unexpected failure after job %s", message.message_id)
        return True

    def _line_of(self, database: str) -> Line:
        found = self._lines.get(database)
        if found is None:  # of two threads, both get the first
            found = self._lines.setdefault(database, Line(database, self._most))
        return found


class Line:
    """The ends of jobs that are to be written into one database, by one thread at a time, or two as they change.

    Who leaves something writes, if nobody does. Who finds `most` unwritten waits until it is fewer: so much, and
    one of each thread, would be run again if this process were killed.
    """

    def __init__(self, database: str, most: int) -> None:
        self._database, self._most = database, most
        self._changed = Condition()
        self._waiting: list[Left] = []
        self._unwritten = 0  # what waits, and what is being written
        self._is_written = False

    def leave(self, one: Left) -> None:
        with self._changed:
            self._waiting.append(one)
            self._unwritten += 1
            self._changed.wait_for(lambda: not self._is_written or self._unwritten < self._most)
            is_for_me = not self._is_written and bool(self._waiting)
            self._is_written |= is_for_me
        if is_for_me:
            conclude(self._write())

    def _write(self) -> list[Left]:
        """Write what waits, and what comes meanwhile, and return it. What follows may take its time: others write."""
        written: list[Left] = []
        goes_on = True
        try:
            while goes_on:
                group, goes_on = self._take_all(len(written))
                if group:
                    written += group
                    # One that cannot be written together has no ending yet, and is dealt with later.
                    end_together(
                        self._database, [(each.what.job, each.what.ending) for each in group]
                    )
                    self._make_room(len(group))
        finally:
            if goes_on:  # it was interrupted
                self._step_down()
        return written

    def _take_all(self, written: int) -> tuple[list[Left], bool]:
        """Take what waits, and tell whether to come again. If not, whoever comes from now on writes.

        Both at once: nobody would write what is left in between until this thread is done with what follows.
        """
        with self._changed:
            group, self._waiting = self._waiting, []
            goes_on = bool(group) and written < self._most
            if not goes_on:
                self._step_down()
        return group, goes_on

    def _step_down(self) -> None:
        with self._changed:  # which may be entered again
            self._is_written = False
            self._changed.notify_all()

    def _make_room(self, count: int) -> None:
        with self._changed:
            was_full = self._unwritten >= self._most
            self._unwritten -= count
            if was_full:
                self._changed.notify_all()


def conclude(written: Sequence[Left]) -> None:
    """Do what follows once ends are written: signals, events, acknowledgements.

    What could not be written together is written now, each by itself, which may take long, so it comes last.
    """
    ended = [one for one in written if one.what.job.ending is not None]
    for one in ended:
        _follow(one)
    _acknowledge(ended)
    for one in written:
        if one.what.job.ending is None:
            _follow(one)
            _acknowledge([one])


def _follow(one: Left) -> None:
    try:
        one.what.context.run(_end, one.what.job)
    except Exception:  # as in Dramatiq: what comes after a job does not keep its message
        logger.exception("Unexpected failure after job %s", one.message.message_id)


def _end(job: Job) -> None:
    if job.ending is None:
        settle(job, None)
    tell(job, None)
    announce(job, job.outcome(None))


def _acknowledge(ended: Sequence[Left]) -> None:
    by_consumer: dict[QueueConsumer, list[Any]] = defaultdict(list)
    for one in ended:
        by_consumer[one.consumer].append(one.message)
    for consumer, messages in by_consumer.items():
        consumer.acknowledge(messages)
