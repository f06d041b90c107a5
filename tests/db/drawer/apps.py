from __future__ import annotations

from django.apps import AppConfig


class DrawerConfig(AppConfig):
    name = "tests.db.drawer"
    label = "drawer"
    default_auto_field = "django.db.models.BigAutoField"
