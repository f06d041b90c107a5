"""The supervisor's HTTP port: probes for the platform, numbers for whatever scales the machines.

``/livez``    200 while the supervisor's loop turns
``/readyz``   200 while a worker takes jobs; 503 before that, and from the moment it drains
``/scale``    JSON, for KEDA's metrics-api scaler and the like
``/metrics``  the same numbers as text, for Prometheus

Nothing it answers is secret but the names of the queues, and nothing it is asked changes anything.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from scalekit.queue.supervisor.exposition import exposition

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.supervisor.figures import Figures

Answer = tuple[int, str, str]  # status, content type, body
TEXT, JSON = "text/plain; charset=utf-8", "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE = 5.0  # seconds that a client may take to ask


def answer(path: str, figures: Figures, *, alive: bool) -> Answer:
    """Return what a GET of `path` is answered."""
    match path.partition("?")[0]:
        case "/livez":
            return (200, TEXT, "ok\n") if alive else (503, TEXT, "the supervisor hangs\n")
        case "/readyz":
            return _readiness(figures)
        case "/scale":
            return 200, JSON, json.dumps(figures.as_json) + "\n"
        case "/metrics":
            return 200, PROMETHEUS, exposition(figures)
    return 404, TEXT, "There are /livez, /readyz, /scale and /metrics.\n"


def _readiness(figures: Figures) -> Answer:
    if figures.stopping:
        return 503, TEXT, "draining\n"
    if not figures.ready:
        return 503, TEXT, "no worker is ready\n"
    return 200, TEXT, "ok\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    look: Callable[[], tuple[Figures, bool]]


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server: _Server

    def do_GET(self) -> None:
        figures, alive = self.server.look()
        status, content_type, body = answer(self.path, figures, alive=alive)
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing: a probe comes every few seconds."""


def serve(address: tuple[str, int], look: Callable[[], tuple[Figures, bool]]) -> int:
    """Answer on `address` from now on, and return the port. Raises OSError where it cannot be had.

    `look` returns what is known, and whether the supervisor's loop turns.
    """
    server = _Server(address, _Handler)
    server.look = look
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return int(server.server_address[1])
