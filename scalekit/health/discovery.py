"""Find the checks: the list or function named `checks` in each installed app's ``health.py``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from scalekit.health.base import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def installed_checks() -> list[Check]:
    """Return every app's checks. What is no `Check` is left out here and named by ``manage.py check``."""
    found = [item for _, items in declared() for item in items if isinstance(item, Check)]
    return list({check.name: check for check in found}.values())


def declared() -> Iterator[tuple[str, list[Any]]]:
    """Yield the module's name and the items of each ``health.py`` that has `checks`."""
    for config in apps.get_app_configs():
        if config.module is None or not module_has_submodule(config.module, "health"):
            continue
        try:
            module = importlib.import_module(f"{config.name}.health")
            checks = _items(getattr(module, "checks", []))
        except Exception as error:  # noqa: BLE001 - a broken check must be seen, and not hide the others
            checks = [Broken(config.label, error)]
        yield f"{config.name}.health", checks


def _items(checks: list[Any] | Callable[[], Any]) -> list[Any]:
    if callable(checks):
        checks = checks()
    return list(checks) if isinstance(checks, (list, tuple)) else []


class Broken(Check):
    """Stands for the checks of an app whose ``health.py`` cannot be used."""

    def __init__(self, label: str, error: Exception) -> None:
        self.name, self.error = f"{label}.health", error

    def run(self) -> None:
        raise self.error
