from __future__ import annotations

from typing import Any

from django.db import close_old_connections, connections, reset_queries
from dramatiq import Middleware


class DatabaseConnections(Middleware):
    """Treat database connections around a job as Django does around a request.

    The hooks run on the worker's own thread. Async tasks do too: their ORM calls come back to the thread
    that runs the task, so no connection is left behind on another.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        reset_queries()
        close_old_connections()

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        close_old_connections()

    after_skip_message = after_process_message

    def before_worker_thread_shutdown(self, broker: Any, thread: Any) -> None:
        connections.close_all()
