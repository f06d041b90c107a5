"""Django's SessionMiddleware, which says 503 instead of 500 while the session store is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpResponse

from scalekit.sessions.exceptions import SessionStoreUnavailable

if TYPE_CHECKING:
    from django.http import HttpRequest

RETRY_AFTER = 2  # seconds


class SessionMiddleware(DjangoSessionMiddleware):
    """Answer 503 with Retry-After, leaving the visitor's cookie alone, when a session cannot be reached."""

    def process_exception(
        self,
        request: HttpRequest,  # noqa: ARG002 - as Django calls it
        exception: Exception,
    ) -> HttpResponse | None:
        """Take the view's exception before Django logs it as an error of the site."""
        return _unavailable() if isinstance(exception, SessionStoreUnavailable) else None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save as Django does. A 500 for the store's sake came from another middleware's use of it."""
        try:
            response = super().process_response(request, response)
        except SessionStoreUnavailable:
            return _unavailable()
        gone = getattr(getattr(request, "session", None), "is_unavailable", False)
        return _unavailable() if gone and response.status_code == 500 else response  # noqa: PLR2004


def _unavailable() -> HttpResponse:
    return HttpResponse(
        "Sign-in is not available at the moment. Please try again in a few seconds.\n",
        status=503,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store", "Vary": "Cookie"},
    )
