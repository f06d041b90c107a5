from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("example_project.photos.urls")),
]

# Installed from stage 10 on; the only place where the site asks which stage it runs on.
if apps.is_installed("scalekit.observability"):
    urlpatterns.insert(0, path("", include("scalekit.observability.urls")))

handler404 = "example_project.photos.views.errors.not_found"
handler403 = "example_project.photos.views.errors.forbidden"
