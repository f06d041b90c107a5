"""RequestMiddleware: a request id, one log line and one measurement for every request."""

from __future__ import annotations

import logging
import sys
from asyncio import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.signals import got_request_exception

from scalekit.core.middleware import Ending, Flow, FlowMiddleware
from scalekit.core.networks import client_of
from scalekit.observability import metrics
from scalekit.observability.facts import REQUEST_ID, is_request_id, new_request_id
from scalekit.observability.observation import CANCELLED, Observation, observation_of
from scalekit.observability.queries import count_queries
from scalekit.observability.receivers import count_cache_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
SERVER_ERROR = 500
logger = logging.getLogger("scalekit.request")


class RequestMiddleware(FlowMiddleware):
    """Observe a request from its arrival to the last byte of its body.

    Stands first, or second to `HealthMiddleware`. Loads neither session nor user, so it causes no query
    and no ``Vary``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        count_queries()
        count_cache_results()
        got_request_exception.connect(_remember, dispatch_uid="scalekit.observability.errors")

    def flow(self, request: HttpRequest) -> Flow:
        if observation_of(request):  # listed twice in MIDDLEWARE: still one line
            yield None
            return None
        observation = Observation(request)
        REQUEST_ID.set(_request_id(request))
        metrics.request_started(observation)
        try:
            response: HttpResponseBase = yield None
        except BaseException as error:
            _finish(observation, *_broken_off(error))
            raise
        response.headers[HEADER] = REQUEST_ID.get()
        try:
            ending = yield response
        except GeneratorExit:  # nobody ever closed the response
            ending = Ending("cancelled")
        _finish(observation, response.status_code, ending)
        return None


def _request_id(request: HttpRequest) -> str:
    """Return the id that a trusted proxy sent; a stranger's would put their requests under another's id."""
    given = str(request.META.get("HTTP_X_REQUEST_ID", ""))
    return given if is_request_id(given) and client_of(request).trusted else new_request_id()


def _remember(request: HttpRequest | None = None, **_: Any) -> None:
    """Keep the exception that Django is turning into a page; the middleware only sees the page."""
    observation = observation_of(request)
    if observation is not None:
        observation.failed_with(sys.exc_info()[1])


def _broken_off(error: BaseException) -> tuple[int, Ending]:
    if isinstance(error, (CancelledError, GeneratorExit)):
        return CANCELLED, Ending("cancelled")
    return SERVER_ERROR, Ending("failed", error)


def _finish(observation: Observation, status: int, ending: Ending) -> None:
    observation.end(status, ending)
    metrics.request_finished(observation)
    if observation.ignored:
        return
    failed = status >= SERVER_ERROR or ending.outcome == "failed"
    level = logging.ERROR if failed else logging.INFO
    try:
        _write_line(observation, level)
    except Exception:
        with suppress(Exception):  # a handler that raises would raise again
            logger.exception("A request could not be logged")


def _write_line(observation: Observation, level: int) -> None:
    if logger.isEnabledFor(level):
        text = f"{observation.method} {observation.route} {observation.status}"
        logger.log(level, text, extra=observation.fields())
