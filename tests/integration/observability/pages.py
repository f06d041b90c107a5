from __future__ import annotations

import time

from django.http import HttpResponse
from django.urls import path

from tests.observability import sample_site


def hangs(request):
    """Stay in progress until the process is killed."""
    time.sleep(100)
    return HttpResponse("nobody killed us")


urlpatterns = [path("hangs", hangs), *sample_site.urlpatterns]
