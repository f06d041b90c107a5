"""A static file that is not there: say so, and let no cache remember it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from scalekit.core.middleware import FlowMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.core.middleware import Flow


class MissingAssetMiddleware(FlowMiddleware):
    """Mark a 404 under STATIC_URL or MEDIA_URL as not to be stored.

    While a release rolls out, a server of the old one is asked for files of the new. A CDN that keeps
    that 404 for minutes breaks the new pages for as long.
    """

    def flow(self, request: HttpRequest) -> Flow:
        response: HttpResponseBase = yield None
        if response.status_code == 404 and _is_asset(request.path):  # noqa: PLR2004
            response.headers["Cache-Control"] = "no-store"
        return response


def _is_asset(path: str) -> bool:
    prefixes = (urlsplit(url or "").path for url in (settings.STATIC_URL, settings.MEDIA_URL))
    return any(prefix not in ("", "/") and path.startswith(prefix) for prefix in prefixes)
