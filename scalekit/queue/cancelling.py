"""Cancel a job, whether it waits or runs.

    cancel(result)      # or its id

One that waits, in the database or in the broker, is FAILED at once with `TaskCancelled`, and its messages are
skipped. One that runs is asked: the thread of its worker that renews leases sees that, at the latest after a
third of SCALEKIT_QUEUE_LEASE_SECONDS, and raises `TaskCancelled` in the job.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from dramatiq.threading import raise_thread_exception

from scalekit.queue import records
from scalekit.queue.events import JOB_CANCELLED
from scalekit.queue.exceptions import TaskCancelled
from scalekit.queue.finding import find_record
from scalekit.queue.models import Status, TaskRecord
from scalekit.queue.time_limits import bounded

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from scalekit.queue.jobs import Job

CANCELLED = f"{TaskCancelled.__module__}.{TaskCancelled.__qualname__}"


def cancel(result: TaskRecord | UUID | str | Any, *, database: str | None = None) -> bool:
    """Cancel the job of a TaskResult, or with an id; False if it had ended before.

    True for a job that waits means that it will not run, and for one that runs that it has been asked to
    stop: it may still end well if it is nearly done. The row says in the end which it was. `database` saves
    looking in all. Raises TaskResultDoesNotExist, also for jobs with ``record=False`` that are published.
    """
    return cancel_found(*find_record(result, database))


def cancel_found(record: TaskRecord, alias: str, *, running: bool = True) -> bool:
    """Cancel the job of `record`, as `cancel` does; False if it had ended, or had begun and is not to be asked."""
    while True:  # it may begin, or be about to be retried, between the two
        if _end_waiting(record, alias) or (running and _ask_running(record, alias)):
            JOB_CANCELLED.emit(task=record.path, queue=record.queue_name, id=str(record.pk))
            return True
        if not (running and _may_run(record, alias)):
            return False


def _may_run(record: TaskRecord, alias: str) -> bool:
    unfinished = (Status.READY, Status.RUNNING)
    return TaskRecord.objects.using(alias).filter(pk=record.pk, status__in=unfinished).exists()


def _end_waiting(record: TaskRecord, alias: str) -> bool:
    return records.fail(
        record.pk,
        alias,
        exception_class_path=CANCELLED,
        message="It was cancelled before it began.",
        only_if=(Status.READY,),
    )


def _ask_running(record: TaskRecord, alias: str) -> bool:
    running = TaskRecord.objects.using(alias).filter(pk=record.pk, status=Status.RUNNING)
    return bool(running.update(cancel_asked=True))


def call(job: Job, task: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the function of `task`, on this thread, so that `interrupt` can end it."""
    with Interruptible(job) as interruptible:
        if inspect.iscoroutinefunction(task.func):
            interruptible.is_async = True
            limited = bounded(job, task.func)
            return async_to_sync(interruptible.awaiting)(limited, *args, **kwargs)
        return task.call(*args, **kwargs)


def interrupt(job: Job, error: type[BaseException] = TaskCancelled) -> None:
    """Raise `error` in `job` if it runs in this process: at its next line of Python, or its next await.

    What waits in C code (a query, a sleep, a socket) is not woken up. Only the first call does anything.
    """
    interruptible = _running.get(job)
    if interruptible is not None:
        interruptible.interrupt(error)


_running: WeakKeyDictionary[Job, Interruptible] = WeakKeyDictionary()


class Interruptible:
    """The part of a job that may be interrupted: the user's own code, and not what writes how it ended.

    An exception for another thread is raised there some time later (PyThreadState_SetAsyncExc). So the block
    ends by taking back one that has not been raised yet: it must not hit whatever this thread does next.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._coroutine: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._error: type[BaseException] | None = None  # that it was asked to end with
        self.is_async = (
            False  # its thread must not be interrupted, which runs what a coroutine needs
        )

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        _running[self._job] = self
        return self

    def __exit__(self, *exc_info: object) -> None:
        while True:
            try:
                self._close()
                return
            except BaseException as late:
                if self._error is None or not isinstance(late, self._error):
                    raise
                # else it was raised while the block was ending: too late, as the job is over

    def _close(self) -> None:
        with self._lock:
            if self._thread is not None and self._error:
                _take_back(self._thread)
            self._thread = None
        _running.pop(self._job, None)

    async def awaiting(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Await the coroutine as a task of its own, which can be cancelled from elsewhere."""
        task = asyncio.ensure_future(func(*args, **kwargs))
        with self._lock:
            self._coroutine = asyncio.get_running_loop(), task
            if self._error:
                task.cancel()
        try:
            return await task
        except asyncio.CancelledError as error:
            if self._error is None:
                raise
            raise self._error from error

    def interrupt(self, error: type[BaseException]) -> None:
        with self._lock:
            if self._thread is None or self._error:
                return
            self._error = error
            if not self.is_async:
                raise_thread_exception(self._thread, error)  # type: ignore[no-untyped-call]  # Dramatiq's
            elif self._coroutine is not None:
                loop, task = self._coroutine
                with suppress(RuntimeError):  # the loop is closed: the coroutine has just ended
                    loop.call_soon_threadsafe(task.cancel)


def _take_back(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
