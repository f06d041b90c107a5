"""System checks of the health rung."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's word

from scalekit.core.exceptions import SettingInvalid
from scalekit.health.base import Check
from scalekit.health.conf import settings
from scalekit.health.discovery import Broken, Foreign, declared
from scalekit.health.drain import is_draining

MIDDLEWARE = "scalekit.health.middleware.HealthMiddleware"


@register()
def check_place(**_: Any) -> list[CheckMessage]:
    """Find a HealthMiddleware that others stand in front of."""
    if MIDDLEWARE not in django_settings.MIDDLEWARE[1:]:
        return []
    return [
        Warning(
            f"{MIDDLEWARE} is not the first of MIDDLEWARE.",
            hint="Move it to the top: what stands before it (host check, redirect to https, sessions) "
            "may refuse the load balancer's probe.",
            id="scalekit.health.W001",
        )
    ]


@register()
def check_drain_file(**_: Any) -> list[CheckMessage]:
    """Find a drain file that cannot be looked for."""
    try:
        is_draining()
        usable = not settings.DRAIN_FILE or Path(settings.DRAIN_FILE).parent.is_dir()
    except SettingInvalid:
        return []  # scalekit.core.E002 says so
    except (OSError, ValueError):
        usable = False
    if usable:
        return []
    return [
        Warning(
            f"SCALEKIT_HEALTH_DRAIN_FILE = {settings.DRAIN_FILE!r} is in no folder that this user may enter.",
            hint="Create the folder, and let the web servers' user enter it: without it they cannot be drained, "
            "and where they may not enter it /readyz answers 503.",
            id="scalekit.health.W002",
        )
    ]


@register()
def check_health_modules(**_: Any) -> list[CheckMessage]:
    """Find what ``health.py`` modules offer that is no check, broken, or named twice."""
    messages: list[CheckMessage] = []
    names: Counter[str] = Counter()
    for module, items in declared():
        messages += [_no_check(module, i) for i in items if not isinstance(i, (Check, Foreign))]
        messages += [_broken(item) for item in items if isinstance(item, Broken)]
        messages += [_foreign(module, item) for item in items if isinstance(item, Foreign)]
        names.update(item.name for item in items if isinstance(item, Check))
    return messages + [_named_twice(name) for name, count in names.items() if count > 1]


def _no_check(module: str, item: object) -> CheckMessage:
    return Error(
        f"{module}.checks holds {item!r}, which is no Check.",
        hint="Write a subclass of scalekit.health.base.Check and put an instance of it into the list.",
        id="scalekit.health.E001",
    )


def _broken(item: Broken) -> CheckMessage:
    return Error(f"{item.name} cannot be used: {item.error}", id="scalekit.health.E002")


def _foreign(module: str, item: Foreign) -> CheckMessage:
    return Warning(
        f"{module} cannot be imported, and is left alone: {item.error}",
        hint="If it has health checks of yours, name scalekit.health in it: then this makes /readyz answer 503.",
        id="scalekit.health.W003",
    )


def _named_twice(name: str) -> CheckMessage:
    return Error(
        f"Several health checks are named {name!r}; only the last would be run.",
        hint="Give each its own name.",
        id="scalekit.health.E003",
    )
