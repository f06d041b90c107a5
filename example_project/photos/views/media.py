"""Photos as the origin serves them; a CDN edge in front may keep them for good."""

from __future__ import annotations

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@require_safe
def serve(request: HttpRequest, name: str) -> HttpResponse:  # noqa: ARG001
    """Serve a stored JPEG; the address pattern lets no other name through."""
    try:
        with default_storage.open(name) as file:
            content = file.read()
    except FileNotFoundError:
        msg = "No such file."
        raise Http404(msg) from None
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}  # names are never reused
    return HttpResponse(content, content_type="image/jpeg", headers=headers)
