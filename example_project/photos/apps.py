from __future__ import annotations

from django.apps import AppConfig


class PhotosConfig(AppConfig):
    name = "example_project.photos"
    label = "photos"
    verbose_name = "Sunprint"
    default_auto_field = "django.db.models.BigAutoField"
