"""Views that do what a request line must get right."""

from __future__ import annotations

import asyncio
import io
import time

from django.contrib.auth.models import Group, User
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import OperationalError, connections
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import include, path

from scalekit.cache.events import CACHE_READ
from scalekit.observability.facts import REQUEST_ID

CANARY = (
    'connection to "postgresql://app:CANARY@db/photos" failed, password=CANARY\x1b[2J\r\n\x85 host'
)
ERRORS = {
    "value": (ValueError, "boom"),
    "404": (Http404, "no such page"),
    "403": (PermissionDenied, ""),
    "400": (BadRequest, "bad"),
    "suspicious": (SuspiciousOperation, "odd"),
    "big": (RequestDataTooBig, "big"),
    "exit": (SystemExit, 3),
    "interrupt": (KeyboardInterrupt, ""),
    "canary": (OperationalError, CANARY),
}


def hello(request):
    return HttpResponse("hello")


async def async_hello(request):
    return HttpResponse("hello")


def user(request, pk):
    return HttpResponse(str(pk))


def reset(request, uidb64, token):
    return HttpResponse()


def lost(request, token):
    raise LookupError(f"nobody has asked for {token}")


def raises(request, what):
    kind, text = ERRORS[what]
    raise kind(text)


def queries(request):
    Group.objects.count()
    Group.objects.exists()
    return HttpResponse("2")


def reads_cache(request):
    for result in ("hit", "hit", "miss"):
        CACHE_READ.emit(function="profile", result=result)
    return HttpResponse()


def slow_stream(request):
    def chunks():
        for _ in range(3):
            time.sleep(0.05)
            yield b"1234"

    return StreamingHttpResponse(chunks())


async def async_slow_stream(request):
    async def chunks():
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield b"1234"

    return StreamingHttpResponse(chunks())


def querying_stream(request):
    def chunks():
        yield str(User.objects.count())

    return StreamingHttpResponse(chunks())


def broken_stream(request):
    def chunks():
        yield b"1234"
        raise ValueError("half-way")

    return StreamingHttpResponse(chunks())


def sends_file(request):
    return FileResponse(io.BytesIO(b"12345678"))


def broken_template(request):
    response = SimpleTemplateResponse("no-such-template.html")
    response.add_post_render_callback(lambda response: None)
    return response


def nested(request):
    inner = Client().get("/hello", headers={"x-request-id": "inner"})
    return HttpResponse(f"{inner['X-Request-ID']} {REQUEST_ID.get()}")


def whoami(request):
    return HttpResponse(request.user.username)


def first_connection(request):
    """Connect for the first time inside a wrapper of the view's own."""
    seen = []

    def own(execute, *args):
        seen.append(args[0])
        return execute(*args)

    connection = connections["default"]
    with connection.execute_wrapper(own):
        Group.objects.count()
    Group.objects.count()
    return HttpResponse(str(len(seen)))


async def async_orm(request):
    return HttpResponse(str(await Group.objects.aexists()))


async def sleeps(request):
    request.scope["leave"]()
    await asyncio.sleep(30)


urlpatterns = [
    path("", hello),
    path("hello", hello),
    path("async-hello", async_hello),
    path("users/<int:pk>", user),
    path("reset/<uidb64>/<token>/", reset),
    path("lost/<token>", lost),
    path("raises/<what>", raises),
    path("queries", queries),
    path("reads-cache", reads_cache),
    path("slow-stream", slow_stream),
    path("async-slow-stream", async_slow_stream),
    path("querying-stream", querying_stream),
    path("broken-stream", broken_stream),
    path("file", sends_file),
    path("broken-template", broken_template),
    path("nested", nested),
    path("whoami", whoami),
    path("first-connection", first_connection),
    path("async-orm", async_orm),
    path("sleeps", sleeps),
    path("", include("scalekit.observability.urls")),
]


class Failing:
    """A middleware that breaks on its way in or out."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "fail-in" in request.GET:
            raise ValueError("on the way in")
        response = self.get_response(request)
        if "fail-out" in request.GET:
            raise ValueError("on the way out")
        return response
