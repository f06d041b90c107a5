"""The supervisor's HTTP port: probes for the platform, numbers for whatever scales the machines.

``/livez``    200 while the supervisor's loop turns
``/readyz``   200 while a worker takes jobs; 503 before that, and from the moment it drains
``/scale``    JSON, for KEDA's metrics-api scaler and the like
``/metrics``  the same numbers as text, for Prometheus

Nothing it answers is secret but the names of the queues, and nothing it is asked changes anything.
"""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING

from scalekit.queue.exceptions import QueueError
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


class PortTaken(QueueError):
    """The port for probes cannot be had."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], look: Callable[[], tuple[Figures, bool]]) -> None:
        self.look = look
        self.everywhere = not address[0]
        host = address[0] or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - as asked
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, address[1]), _Handler)

    def server_bind(self) -> None:
        """Bind for IPv4 as well, and ask no name server who we are, as HTTPServer would."""
        if self.everywhere and self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)


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
    """Answer on `address` from now on, and return the port. Raises `PortTaken`.

    `look` returns what is known, and whether the supervisor's loop turns.
    """
    try:
        server = _Server(address, look)
    except OSError as error:
        where = ":".join(str(part) for part in address if part)
        raise PortTaken(f"--health-port {where} cannot be had: {error}. Choose another.") from error
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return int(server.server_address[1])
