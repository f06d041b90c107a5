from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.db import close_old_connections, connections
from dramatiq import Middleware

from scalekit.queue.commits import has_begun
from scalekit.queue.facts import JOB

_begun_before: ContextVar[frozenset[str]] = ContextVar("scalekit_queue_begun", default=frozenset())


class DatabaseConnections(Middleware):
    """Treat database connections around a job as Django does around a request.

    The hooks run on the worker's own thread. Async tasks do too: their ORM calls come back to the thread
    that runs the task, so no connection is left behind on another. A connection whose server closed it is
    found unusable after the job that met it, and the next job gets a new one.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        for connection in connections.all(initialized_only=True):
            connection.queries_log.clear()
            connection.close_if_unusable_or_obsolete()

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        job = JOB.get()
        if job is None or not job.is_put_off:  # else this thread may write yet how it ended
            close_old_connections()

    after_skip_message = after_process_message

    def before_worker_thread_shutdown(self, broker: Any, thread: Any) -> None:
        connections.close_all()


class AbandonedTransactions(Middleware):
    """Close connections on which a job has left a transaction open, or autocommit off.

    A time limit or a cancelling interrupts at any line, that of ``Atomic.__exit__`` too. What is written next
    on this thread, how the job ended first of all, would be in a transaction that nobody commits. Django
    keeps such a connection.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        _begun_before.set(_begun())

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        for alias in _begun() - _begun_before.get():
            connection = connections[alias]
            connection.in_atomic_block = False  # or close() keeps it, for an outer block to see
            connection.close()

    after_skip_message = after_process_message


def _begun() -> frozenset[str]:
    return frozenset(c.alias for c in connections.all(initialized_only=True) if has_begun(c))
