"""Find the checks: the list or function named `checks` in each installed app's ``health.py``.

Others use that file name too, for a view or a script. A module is ours if its source names scalekit, or
if it has a `Check`; one that cannot have `checks` is not even imported.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from scalekit.health.base import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


OURS = "scalekit.health.health"


def installed_checks() -> list[Check]:
    """Return every app's checks; one of the same name as a built-in takes its place.

    What is no `Check` is left out here and named by ``manage.py check``.
    """
    found = sorted(
        declared(), key=lambda module: module[0] != OURS
    )  # built-ins first, to be replaced
    checks = [item for _, items in found for item in items if isinstance(item, Check)]
    return list({check.name: check for check in checks}.values())


def declared() -> Iterator[tuple[str, list[Any]]]:
    """Yield the module's name and the items of each ``health.py`` that has `checks` for us."""
    for config in apps.get_app_configs():
        if config.module is None or not module_has_submodule(config.module, "health"):
            continue
        name, source = f"{config.name}.health", ""
        try:
            source = _source(name)
            may_offer = "checks" in source or "import *" in source
            found = _checks_of(name, source) if may_offer else []
            checks = [_named(config.label, item) for item in found]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken check must be seen, and not hide the others
            checks = [Broken(config.label, error) if "scalekit" in source else Foreign(error)]
        yield name, checks


def _named(label: str, item: Any) -> Any:
    if isinstance(item, Check) and not isinstance(getattr(item, "name", None), str):
        return Broken(label, TypeError(f'{item!r} has no name: write name = "..." into the class.'))
    return item


def _source(name: str) -> str:
    """Return a module's source; for one that ships without, the word for which it is imported."""
    spec = importlib.util.find_spec(name)
    get_source = getattr(spec and spec.loader, "get_source", None)
    source: str | None = get_source(name) if get_source else None
    return "checks" if source is None else source


def _checks_of(name: str, source: str) -> list[Any]:
    module = importlib.import_module(name)
    is_ours = "scalekit" in source or _has_check(module)
    return _items(getattr(module, "checks", [])) if is_ours else []


def _has_check(module: ModuleType) -> bool:
    """Tell whether a module has a subclass of `Check` by name, or holds one's instance in `checks`."""
    named, listed = vars(module).values(), vars(module).get("checks")
    items = listed if isinstance(listed, (list, tuple)) else ()
    return any(isinstance(item, Check) for item in items) or any(
        isinstance(item, type) and issubclass(item, Check) for item in named
    )


def _items(checks: list[Any] | Callable[[], Any]) -> list[Any]:
    if callable(checks):
        checks = checks()
    return list(checks) if isinstance(checks, (list, tuple)) else []


@dataclass(frozen=True, slots=True)
class Foreign:
    """Stands for a ``health.py`` that cannot be imported and does not name scalekit: most likely no affair of ours."""

    error: BaseException


class Broken(Check):
    """Stands for the checks of an app whose ``health.py`` cannot be used."""

    def __init__(self, label: str, error: BaseException) -> None:
        self.name, self.error = f"{label}.health", error

    def run(self) -> None:
        raise self.error
