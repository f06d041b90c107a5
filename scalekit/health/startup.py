"""Load what the first visitor would wait for, and tell when it is there. No server is asked."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Future

from django.urls import get_resolver

logger = logging.getLogger("scalekit.health")


class Startup:
    """Loads the URLs, and with them the views, once; again only if that failed."""

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Start anew: a child process has its parent's memory, and none of its threads."""
        self._lock = threading.Lock()
        self._loading: Future[None] | None = None

    def report(self) -> Future[None]:
        """Return what is done when all is loaded; waits for nothing itself."""
        with self._lock:
            if self._loading is None or _has_failed(self._loading):
                self._loading = self._start()
            return self._loading

    def _start(self) -> Future[None]:
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # so that one who stops waiting cancels nothing
        try:
            threading.Thread(target=_load, args=(future,), daemon=True).start()
        except RuntimeError as error:  # no more threads
            future.set_exception(error)
        return future


def _has_failed(loading: Future[None]) -> bool:
    return loading.done() and loading.exception() is not None


def _load(future: Future[None]) -> None:
    try:
        get_resolver().url_patterns  # noqa: B018 - asking imports them
        future.set_result(None)
    except BaseException as error:
        logger.exception("The site could not be loaded")
        future.set_exception(error)
