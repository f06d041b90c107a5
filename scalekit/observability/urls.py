"""``path("", include("scalekit.observability.urls"))`` serves ``/metrics``."""

from __future__ import annotations

from django.urls import path

from scalekit.observability.views import metrics

app_name = "scalekit_observability"
urlpatterns = [path("metrics", metrics, name="metrics")]
