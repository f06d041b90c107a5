"""Serve one request with Django's own handlers, as a WSGI or ASGI server would."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import AsyncRequestFactory, RequestFactory


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None


def serve_wsgi(
    path, *, method="GET", headers=None, chunks=None, application=None, file_wrapper=None
):
    """Send one request; read the whole body, or give up after so many `chunks`."""
    reply = Reply()
    environ = RequestFactory(headers=headers or {}).generic(method, path).environ
    if file_wrapper:
        environ["wsgi.file_wrapper"] = file_wrapper

    def start_response(status, headers):
        reply.status, reply.headers = int(status.split()[0]), dict(headers)

    with _open_connections():
        body = (application or WSGIHandler())(environ, start_response)
        try:
            for number, chunk in enumerate(body):
                if number == chunks:
                    break
                reply.body += chunk
        except Exception as error:  # noqa: BLE001 - the server's log would show it
            reply.error = error
        finally:
            body.close()
    return reply


def serve_asgi(path, **options):
    exit_kind = None
    try:
        return asyncio.run(answer_asgi(path, **options))
    except (SystemExit, KeyboardInterrupt) as error:
        exit_kind = type(error)  # without its frames, which hold the request
    finally:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # Django 5.2 leaves the request's temporary file open when a response breaks
    raise exit_kind


async def answer_asgi(path, *, method="GET", headers=None, chunks=None, application=None):
    """Send one request; read the whole body, or disconnect after so many `chunks`.

    With 0 chunks the client leaves when the view calls ``request.scope["leave"]()``.
    """
    reply, seen, gone = Reply(), 0, asyncio.Event()
    scope = AsyncRequestFactory().generic(method, path).scope
    scope["headers"] += [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    body = asyncio.Queue()
    body.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        if body.empty():
            await gone.wait()
            return {"type": "http.disconnect"}
        return await body.get()

    async def send(message):
        nonlocal seen
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        elif message.get("body"):
            reply.body += message["body"]
            seen += 1
            if seen == chunks:
                gone.set()
                await asyncio.sleep(0.05)  # the handler hears of it while it sends

    scope["leave"] = gone.set
    if chunks == 0 and path == "/readyz":  # its check has no request to leave by
        asyncio.get_running_loop().call_later(0.2, gone.set)
    with _open_connections():
        try:
            await (application or ASGIHandler())(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the server's log would show it
            reply.error = error.with_traceback(None)
    return reply


@contextmanager
def counted_hops(monkeypatch):
    """Count how often work is handed to another thread."""
    hops = []
    original = SyncToAsync.__call__

    async def counting(self, *args, **kwargs):
        hops.append(self.func)
        return await original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SyncToAsync, "__call__", counting)
        yield hops


@contextmanager
def _open_connections():
    """Leave the database connections of the test open, as Django's test client does."""
    both = (request_started, request_finished)
    signals = [signal for signal in both if signal.disconnect(close_old_connections)]
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
