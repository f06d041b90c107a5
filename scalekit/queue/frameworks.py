"""The Tasks framework: Django's own since 6.0, the `django-tasks` backport on 5.2, or both at once.

The two have the same modules but different classes: Wagtail, for one, uses the backport on every Django.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import django

from scalekit.queue.exceptions import DependencyMissing

BACKPORT = "django_tasks"
PRIMARY = "django.tasks" if django.VERSION >= (6, 0) else BACKPORT


@dataclass(frozen=True, slots=True)
class Framework:
    """One of the two, by those of its modules that a backend needs."""

    base: Any
    signals: Any
    backends: Any
    exceptions: Any
    task_backends: Any


def framework(name: str = PRIMARY) -> Framework:
    """Return the framework in package `name`. Raises `DependencyMissing` on Django 5.2 without the backport."""
    return _load(name)


@cache
def _load(name: str) -> Framework:
    try:
        package = import_module(name)
    except ModuleNotFoundError as error:
        raise DependencyMissing from error
    return Framework(
        base=import_module(f"{name}.base"),
        signals=import_module(f"{name}.signals"),
        backends=import_module(f"{name}.backends.base"),
        exceptions=import_module(f"{name}.exceptions"),
        task_backends=package.task_backends,
    )


def loaded_frameworks() -> list[Framework]:
    """Return the frameworks that something in this process has imported."""
    return [framework(name) for name in {PRIMARY, BACKPORT} if name in sys.modules]


def framework_of(task: object) -> Framework | None:
    """Return the framework whose Task `task` is; None if it is no Task."""
    kind = type(task)
    if kind not in _frameworks:  # a class can be of no framework that is loaded after it
        _frameworks[kind] = next(
            (f for f in loaded_frameworks() if issubclass(kind, f.base.Task)), None
        )
    return _frameworks[kind]


_frameworks: dict[type, Framework | None] = {}


def framework_behind(task: object) -> Framework:
    """Return the framework of `task`. Raises TypeError if it is no Task."""
    found = framework_of(task)
    if found is None:
        msg = f"{task!r} is no Task; decorate the function with @task from scalekit.queue."
        raise TypeError(msg)
    return found
