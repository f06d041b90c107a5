from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.db import close_old_connections, connections, reset_queries
from dramatiq import Middleware

_open_before: ContextVar[frozenset[str]] = ContextVar("scalekit_queue_open", default=frozenset())


class DatabaseConnections(Middleware):
    """Treat database connections around a job as Django does around a request.

    The hooks run on the worker's own thread. Async tasks do too: their ORM calls come back to the thread
    that runs the task, so no connection is left behind on another. A connection whose server closed it is
    found unusable after the job that met it, and the next job gets a new one.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        reset_queries()
        close_old_connections()
        _open_before.set(_in_transactions())

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        _close_abandoned_transactions(_open_before.get())
        close_old_connections()

    after_skip_message = after_process_message

    def before_worker_thread_shutdown(self, broker: Any, thread: Any) -> None:
        connections.close_all()


def _in_transactions() -> frozenset[str]:
    return frozenset(c.alias for c in connections.all(initialized_only=True) if c.in_atomic_block)


def _close_abandoned_transactions(not_ours: frozenset[str]) -> None:
    """Close connections on which a job has left a transaction open.

    A time limit or a cancelling interrupts at any line, that of ``Atomic.__exit__`` too. The next job on this
    thread would then write into a transaction that nobody commits. Django keeps such a connection.
    """
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block and connection.alias not in not_ours:
            connection.in_atomic_block = (
                False  # or close() would keep it, for an outer block to see
            )
            connection.close()
