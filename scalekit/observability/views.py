from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, HttpResponseNotAllowed

from scalekit.core.bearer import bears
from scalekit.core.networks import came_from
from scalekit.observability.conf import settings
from scalekit.observability.exceptions import MetricsUnavailable
from scalekit.observability.exposition import exposition
from scalekit.observability.metrics import request_left_out
from scalekit.observability.observation import observation_of

if TYPE_CHECKING:
    from django.http import HttpRequest

METHODS = ("GET", "HEAD")


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve ``/metrics`` to who has the token or stands in one of the networks; 404 for all others."""
    if not _may_read(request):
        raise Http404
    observation = observation_of(request)
    if observation is not None:
        observation.ignored = True  # a scrape is no traffic
        request_left_out(observation)
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    return _scrape(request.headers.get("Accept", ""))


def _may_read(request: HttpRequest) -> bool:
    return bears(request, settings.TOKEN) or came_from(request, settings.NETWORKS)


def _scrape(accept: str) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    try:
        body, content_type = exposition(accept)
    except MetricsUnavailable as error:
        return HttpResponse(f"{error}\n", status=503, content_type="text/plain", headers=headers)
    return HttpResponse(body, content_type=content_type, headers=headers)
