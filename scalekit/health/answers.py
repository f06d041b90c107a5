"""The two answers, as HTTP responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from scalekit.core.networks import came_from
from scalekit.health.conf import settings
from scalekit.health.drain import is_draining

if TYPE_CHECKING:
    from scalekit.health.probing import Report

RETRY_AFTER = "2"  # seconds; how soon another probe may find another answer


def alive() -> HttpResponse:
    """Answer ``/livez``: it touches nothing, for a restart heals no database."""
    return HttpResponse("ok", content_type="text/plain", headers={"Cache-Control": "no-store"})


def draining() -> HttpResponse | None:
    """Answer ``/readyz`` of a server that is on its way out."""
    return _answer("draining", {}, status=503) if is_draining() else None


def unknown() -> HttpResponse:
    """Answer ``/readyz`` when the checks themselves could not be run."""
    return _answer("not ready", {}, status=503)


def ready(request: HttpRequest, report: Report) -> HttpResponse:
    """Answer ``/readyz`` by what the probe found; reasons only for those who may know them."""
    failed = [outcome for outcome in report.outcomes if outcome.error]
    states = {outcome.name: "failed" if outcome.error else "ok" for outcome in report.outcomes}
    body: dict[str, Any] = {"checks": states}
    if failed and _may_know(request):
        body["errors"] = {outcome.name: outcome.error for outcome in failed}
    if not report.ready:
        return _answer("not ready", body, status=503)
    return _answer("degraded" if failed else "ready", body, status=200)


def _may_know(request: HttpRequest) -> bool:
    return django_settings.DEBUG or came_from(request, settings.NETWORKS)


def _answer(status_word: str, body: dict[str, Any], *, status: int) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    if status >= 500:  # noqa: PLR2004 - the range of server errors
        headers["Retry-After"] = RETRY_AFTER
    return JsonResponse({"status": status_word, **body}, status=status, headers=headers)
