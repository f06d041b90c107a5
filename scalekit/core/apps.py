"""The application class that every rung's `apps.py` builds on."""

from __future__ import annotations

import importlib
from typing import Any

from django.apps import AppConfig
from django.utils.module_loading import module_has_submodule


class RungConfig(AppConfig):
    """Load a rung's system checks, and those that all rungs share, when Django is ready."""

    default_auto_field = "django.db.models.BigAutoField"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let Django choose the subclass: in its module it also finds this class, and takes neither."""
        super().__init_subclass__(**kwargs)
        cls.default = True

    def ready(self) -> None:
        """Register the checks; open nothing, query nothing."""
        importlib.import_module("scalekit.core.checks")
        if self.module is not None and module_has_submodule(self.module, "checks"):
            importlib.import_module(f"{self.name}.checks")
