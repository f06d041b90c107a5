"""Pages that tell what reaches a view."""

from __future__ import annotations

from django.http import JsonResponse
from django.urls import path, re_path

HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Request-ID")


def told(request):
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    return JsonResponse(
        {"ip": request.META["REMOTE_ADDR"], "secure": request.is_secure(), **headers}
    )


urlpatterns = [
    path("told", told),
    path("version", told),
    re_path(r"^healthz/?$", told),
    path("<slug:page>", told),
]
