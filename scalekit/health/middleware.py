"""Answers ``/livez`` and ``/readyz`` before anything else sees the request.

First in MIDDLEWARE: a probe comes by IP address and without TLS, so the host check and the redirect to
https would refuse it, and it must cost no session.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseNotAllowed

from scalekit.health import answers
from scalekit.health.conf import settings
from scalekit.health.probing import Prober

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http.response import HttpResponseBase

PROBES = frozenset({"/livez", "/readyz"})
METHODS = ("GET", "HEAD")
GRACE = 0.3  # seconds beyond the budget, for the probe's own bookkeeping

logger = logging.getLogger("scalekit.health")
prober = Prober()


class HealthMiddleware:
    """``/livez``: this process answers. ``/readyz``: it may be sent visitors.

    Every other request is handed on untouched. Written out for both worlds, for a probe waits for other
    threads, which under ASGI must not hold up the loop.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info not in PROBES:
            response: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
            return response
        return self._aprobe(request) if self._is_async else self._probe(request)

    def _probe(self, request: HttpRequest) -> HttpResponseBase:
        response = _answer_at_once(request)
        if response is None:
            try:
                response = answers.ready(request, prober.report().result(_patience()))
            except Exception:  # noqa: BLE001 - logged where it happened
                response = answers.unknown()
        return response

    async def _aprobe(self, request: HttpRequest) -> HttpResponseBase:
        response = _answer_at_once(request)
        if response is None:
            try:
                coming = asyncio.wrap_future(prober.report())
                response = answers.ready(request, await asyncio.wait_for(coming, _patience()))
            except Exception:  # noqa: BLE001 - logged where it happened
                response = answers.unknown()
        return response


def _answer_at_once(request: HttpRequest) -> HttpResponseBase | None:
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if request.path_info == "/livez":
        return answers.alive()
    try:
        return answers.draining()
    except Exception:
        logger.exception("Whether this server is draining could not be told")
        return answers.unknown()


def _patience() -> float:
    return settings.BUDGET + GRACE
