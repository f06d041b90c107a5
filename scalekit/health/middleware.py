"""Answers the probes before anything else sees them, and says of all other requests who sent them.

First in MIDDLEWARE: a probe comes by IP address and without TLS, so the host check and the redirect to
https would refuse it, and it must cost no session; and whoever logs or limits a client must meet its
own address, not the load balancer's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseNotAllowed

from scalekit.health import answers
from scalekit.health.conf import settings
from scalekit.health.probes import Probe, probe_at
from scalekit.health.probing import Prober
from scalekit.health.proxies import believe_proxies
from scalekit.health.startup import Startup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from django.http.response import HttpResponseBase

METHODS = ("GET", "HEAD")
GRACE = 0.3  # seconds beyond the budget, for the probe's own bookkeeping

logger = logging.getLogger("scalekit.health")
prober = Prober()
startup = Startup()


class HealthMiddleware:
    """``/livez``: this process answers. ``/readyz``: it may be sent visitors. `probes.PATHS` has them all.

    Every other request is handed on, with the client's address where SCALEKIT_TRUSTED_PROXIES is set.
    Written out for both worlds, for a probe waits for other threads, which under ASGI must not hold up
    the loop.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        believe_proxies(request)
        probe = probe_at(request.path_info)
        if probe is None:
            response: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
            return response
        return self._aprobe(request, probe) if self._is_async else self._probe(request, probe)

    def _probe(self, request: HttpRequest, probe: Probe) -> HttpResponseBase:
        response = _answer_at_once(request, probe)
        if response is None:
            try:
                found = _asked(probe).result(_patience())
                response = _answer(request, probe, found)
            except Exception:  # noqa: BLE001 - logged where it happened
                response = _without_answer(probe)
        return response

    async def _aprobe(self, request: HttpRequest, probe: Probe) -> HttpResponseBase:
        response = _answer_at_once(request, probe)
        if response is None:
            try:
                coming = asyncio.wrap_future(_asked(probe))
                found = await asyncio.wait_for(coming, _patience())
                response = _answer(request, probe, found)
            except Exception:  # noqa: BLE001 - logged where it happened
                response = _without_answer(probe)
        return response


def _answer_at_once(request: HttpRequest, probe: Probe) -> HttpResponseBase | None:
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if probe is Probe.LIVE:
        return answers.alive()
    if probe is Probe.STARTED:
        return None
    try:
        if probe is Probe.VERSION:
            return answers.version(request)
        leaving = answers.draining()
    except Exception:
        logger.exception("A probe of %s could not be answered", request.path_info)
        return answers.unknown()
    return answers.alive() if probe is Probe.SERVING and leaving is None else leaving


def _asked(probe: Probe) -> Future[Any]:
    return startup.report() if probe is Probe.STARTED else prober.report()


def _answer(request: HttpRequest, probe: Probe, found: Any) -> HttpResponseBase:
    if probe is Probe.STARTED:
        return answers.started(loaded=True)
    # Asked again: a drain may have begun while the checks ran, and whoever began it counts from then.
    return answers.draining() or answers.ready(request, found)


def _without_answer(probe: Probe) -> HttpResponseBase:
    return answers.started(loaded=False) if probe is Probe.STARTED else answers.unknown()


def _patience() -> float:
    return settings.BUDGET + GRACE
