"""The answers to the probes, as HTTP responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from scalekit.health.access import may_know
from scalekit.health.drain import is_draining
from scalekit.health.fingerprints import fingerprints
from scalekit.health.releases import release

if TYPE_CHECKING:
    from scalekit.health.probing import Outcome, Report

RETRY_AFTER = "2"  # seconds; how soon another probe may find another answer


def alive() -> HttpResponse:
    """Answer ``/livez``: it touches nothing, for a restart heals no database."""
    return HttpResponse("ok", content_type="text/plain", headers={"Cache-Control": "no-store"})


def draining() -> HttpResponse | None:
    """Answer for a server that is on its way out."""
    return _answer("draining", {}, status=503) if is_draining() else None


def unknown() -> HttpResponse:
    """Answer when the checks themselves could not be run."""
    return _answer("not ready", {}, status=503)


def started(*, loaded: bool) -> HttpResponse:
    """Answer ``/startupz``."""
    return _answer("started", {}, status=200) if loaded else _answer("starting", {}, status=503)


def version(request: HttpRequest) -> HttpResponse:
    """Answer ``/version``: the release; what makes servers alike only for those who may know."""
    told = {"fingerprints": fingerprints()} if may_know(request) else {}
    return JsonResponse({**release(), **told}, headers={"Cache-Control": "no-store"})


def ready(request: HttpRequest, report: Report) -> HttpResponse:
    """Answer ``/readyz`` by what the probe found; names and reasons only for those who may know them."""
    failed = any(outcome.error for outcome in report.outcomes)
    body = _details(report.outcomes) if may_know(request) else {}
    if not report.ready:
        return _answer("not ready", body, status=503)
    return _answer("degraded" if failed else "ready", body, status=200)


def _details(outcomes: tuple[Outcome, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "checks": {o.name: o.state for o in outcomes},
        "seconds": {o.name: round(o.seconds, 4) for o in outcomes},
    }
    errors = {o.name: o.error for o in outcomes if o.error}
    return {**body, "errors": errors} if errors else body


def _answer(status_word: str, body: dict[str, Any], *, status: int) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    if status >= 500:  # noqa: PLR2004 - the range of server errors
        headers["Retry-After"] = RETRY_AFTER
    answer = JsonResponse({"status": status_word, **body}, status=status, headers=headers)
    # Django would log every 503 as an error, and mail it to ADMINS: one mail a probe, for the length of a drain. The
    # event health_check_failed says once what is wrong.
    answer._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - what log_response() looks for
    return answer
