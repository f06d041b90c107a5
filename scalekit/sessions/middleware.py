"""Django's SessionMiddleware, which says 503 instead of 500 while the session store is gone."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpResponse
from django.utils.cache import patch_cache_control

from scalekit.sessions.conf import settings
from scalekit.sessions.exceptions import SessionStoreUnavailable

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

RETRY_AFTER = 2  # seconds


class SessionMiddleware(DjangoSessionMiddleware):
    """Answer 503 with Retry-After, leaving the visitor's cookie alone, when a session cannot be reached.

    Renews lifetimes as SCALEKIT_SESSIONS_ROLLING_SECONDS says. Under ASGI it saves without leaving the event loop
    where the engine can.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)  # makes an object, asks nobody
        response = await self.get_response(request)  # type: ignore[misc]  # async here, which the stubs do not know
        session = request.session
        if not hasattr(session, "asettle"):
            return await sync_to_async(self.process_response)(request, response)
        _renew(session)
        if _is_asked(session):
            await session.asettle(saving=response.status_code < 500)  # noqa: PLR2004 - an error page saves nothing
        return self.process_response(request, response)

    def process_exception(
        self,
        request: HttpRequest,  # noqa: ARG002 - as Django calls it
        exception: Exception,
    ) -> HttpResponse | None:
        """Take the view's exception before Django logs it as an error of the site."""
        return _unavailable() if isinstance(exception, SessionStoreUnavailable) else None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save as Django does. A 500 for the store's sake came from another middleware's use of it."""
        session = getattr(request, "session", None)
        try:
            _renew(session)
            response = super().process_response(request, response)
        except SessionStoreUnavailable:
            return _unavailable()
        if django_settings.SESSION_COOKIE_NAME in response.cookies:
            _keep_private(response)
        gone = getattr(session, "is_unavailable", False)
        return _unavailable() if gone and response.status_code == 500 else response  # noqa: PLR2004


def _renew(session: Any) -> None:
    """Mark a session that was read for saving, if its last save is long ago."""
    rolling = settings.ROLLING_SECONDS
    saved_at = getattr(session, "saved_at", None)
    if rolling and saved_at and saved_at + rolling <= time() and not session.is_empty():
        session.modified = True


def _is_asked(session: Any) -> bool:
    """Tell whether Django will ask the session how long it lives, and save it unless the page failed."""
    every = django_settings.SESSION_SAVE_EVERY_REQUEST
    return not session.is_empty() and (every or session.modified)


def _keep_private(response: HttpResponse) -> None:
    """Let no shared cache give one visitor's cookie to others, whatever the view said of its page."""
    said = response.get("Cache-Control", "")
    if "public" in said or "s-maxage" in said:
        patch_cache_control(response, private=True)


def _unavailable() -> HttpResponse:
    return HttpResponse(
        "Sign-in is not available at the moment. Please try again in a few seconds.\n",
        status=503,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store", "Vary": "Cookie"},
    )
