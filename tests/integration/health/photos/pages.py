from __future__ import annotations

import os
import time
from pathlib import Path

from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

WAIT = 30  # seconds


@csrf_exempt
def echo(request):
    """Read the whole body, and say how long it was."""
    return HttpResponse(str(len(request.body)))


def told(request):
    """Tell who asks, as a view sees it."""
    return JsonResponse(
        {"ip": request.META["REMOTE_ADDR"], "id": request.headers.get("X-Request-ID", "")}
    )


@csrf_exempt
def waits(request):
    """Answer when the test lets us: a request that is in flight for as long as it takes."""
    folder, deadline = Path(os.environ["WAIT_FOLDER"]), time.monotonic() + WAIT
    (folder / "arrived").touch()
    while not (folder / "go_on").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return HttpResponse("done")


@csrf_exempt
def count(request):
    """Count a visitor's requests in the session; say which server did."""
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"], "server": os.environ["SERVER"]})


urlpatterns = [
    path("echo", echo),
    path("told", told),
    path("waits", waits),
    path("count", count),
]
