"""Visitors who never stop asking, and what became of their requests."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import contextmanager
from itertools import count

from tests.integration.health.fleet import HOST

BODY = b"x" * 2000


class Visitors:
    """Threads that send GET and POST in turn; with `keep_alive` each on one connection, as behind a CDN."""

    def __init__(self, port, *, keep_alive, number=8, pause=0.01):
        self.port, self.keep_alive, self.pause = port, keep_alive, pause
        self.sent, self.failed = 0, []
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._visit) for _ in range(number)]

    @contextmanager
    def asking(self):
        """Ask for the length of a `with` block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _visit(self):
        connection = self._connect()
        for number in count():
            if self._stop.is_set():
                break
            failure = self._ask(connection, "POST" if number % 2 else "GET")
            with self._lock:
                self.sent += 1
                if failure:
                    self.failed.append(failure)
            if failure or not self.keep_alive:
                connection.close()
                connection = self._connect()
            time.sleep(self.pause)
        connection.close()

    def _connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def _ask(self, connection, method):
        """Return what went wrong, or nothing."""
        body = BODY if method == "POST" else b""
        try:
            connection.request(method, "/echo", body=body, headers=HOST)
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{method}: {type(error).__name__}"
        return (
            ""
            if (response.status, said) == (200, b"%d" % len(body))
            else f"{method}: {response.status}"
        )
