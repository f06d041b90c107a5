"""From the dotted path in a message to a Task, trusting nothing in between."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps

from scalekit.queue.exceptions import MessageRefused, TaskUnknown
from scalekit.queue.frameworks import framework_of

if TYPE_CHECKING:
    from types import ModuleType


def load_task(path: str) -> Any:
    """Return the Task at `path`.

    Only modules that are loaded, or that belong to an installed app, are looked into: importing runs code.
    Raises `MessageRefused` for a path that leads elsewhere or to something else than a Task, and
    `TaskUnknown` where an app has no such name (yet: a newer release may have enqueued it).
    """
    module_name, _, name = path.rpartition(".")
    found = vars(_load_module(module_name, path)).get(name)  # getattr may run a module's own code
    if found is None:
        raise TaskUnknown(f"There is no {path[:200]!r} in this release.")
    if framework_of(found) is None or found.module_path != path:
        raise MessageRefused("no task", f"{path[:200]!r} is no Task.")
    return found


def _load_module(name: str, path: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    if not _belongs_to_an_app(name):
        raise MessageRefused(
            "module", f"{path[:200]!r} is in no loaded module and no installed app."
        )
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise TaskUnknown(f"There is no {path[:200]!r} in this release.") from error
        raise


def _belongs_to_an_app(module: str) -> bool:
    parts = module.split(".")
    return all(part.isidentifier() for part in parts) and any(
        f"{module}.".startswith(f"{app.name}.") for app in apps.get_app_configs()
    )
