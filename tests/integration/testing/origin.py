"""A stand-in for a web server: `origin.py NAME PORT`. It answers as the path asks, and says what it was sent."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME, PORT = sys.argv[1], int(sys.argv[2])
answered = 0


class Handler(BaseHTTPRequestHandler):
    """`?status=`, `?cache=` (Cache-Control); `/die` ends the process after reading the request."""

    def do_GET(self):
        global answered  # noqa: PLW0603
        answered += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        if url.path.startswith("/die"):
            os._exit(1)
        if url.path.startswith("/drop"):
            self.close_connection = True
            return
        self._answer(parse_qs(url.query))

    do_POST = do_HEAD = do_GET  # noqa: N815 - the names that http.server looks for

    def _answer(self, query):
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = json.dumps({"name": NAME, "answered": answered, "headers": headers}).encode()
        self.send_response(int(query.get("status", ["200"])[0]))
        if "cache" in query:
            self.send_header("Cache-Control", query["cache"][0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep the log for errors."""


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
