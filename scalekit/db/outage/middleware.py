"""ReadOnlyMode: a request that needs a primary which is down is asked to come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.template import TemplateDoesNotExist, loader

from scalekit.core.middleware import FlowMiddleware
from scalekit.db.conf import settings
from scalekit.db.outage.facts import LOST
from scalekit.db.outage.state import is_read_only

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.core.middleware import Flow

FAILED = frozenset(
    {400, 500}
)  # 400: Django's sessions take a save that failed for a session that is gone
PAGE = "503.html"


class ReadOnlyMode(FlowMiddleware):
    """Answer 503 with Retry-After, never 500, to what fails because a primary is down.

    Stands outside everything that may use the database. Views see `request.read_only` and may hide what
    writes; what they do not hide gets the 503. Nothing is tried again.
    """

    def flow(self, request: HttpRequest) -> Flow:
        request.read_only = is_read_only()  # type: ignore[attr-defined]  # ours to add
        response: HttpResponseBase = yield None
        if LOST.get() and response.status_code in FAILED and not _is_bug(request):
            return unavailable(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view before Django reports its error as a bug; a bug stays one, also in an outage."""
        if LOST.get() and comes_of_an_outage(exception):
            return unavailable(request)
        request._scalekit_bug = True  # type: ignore[attr-defined]  # noqa: SLF001 - ours to add
        return None


def _is_bug(request: HttpRequest) -> bool:
    return bool(getattr(request, "_scalekit_bug", False))


def comes_of_an_outage(error: BaseException | None) -> bool:
    """Return whether a lost connection is what an exception, or one it came of, tells of."""
    while error is not None:
        if isinstance(error, (OperationalError, InterfaceError, SessionInterrupted)):
            return True
        error = error.__cause__ or error.__context__
    return False


def unavailable(request: HttpRequest) -> HttpResponse:
    """Return the project's 503.html, or a line of text."""
    headers = {"Retry-After": str(settings.RETRY_AFTER), "Cache-Control": "no-store"}
    request.read_only = True  # type: ignore[attr-defined]  # ours to add
    return HttpResponse(*_page(), status=503, headers=headers)


def _page() -> tuple[str, str]:
    try:
        # Without context processors: those may ask the database, and it is down.
        return loader.get_template(PAGE).render({"read_only": True}), "text/html; charset=utf-8"
    except TemplateDoesNotExist:
        return (
            "The site can be read but not changed just now. Please try again soon.\n",
            "text/plain; charset=utf-8",
        )
