"""System checks of the health rung."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's word
from django.urls import Resolver404, resolve

from scalekit.core.exceptions import SettingInvalid
from scalekit.core.networks import settings as proxies
from scalekit.health import statelessness as statelessness  # noqa: PLC0414 - registers its checks
from scalekit.health.base import Check
from scalekit.health.conf import settings
from scalekit.health.discovery import OURS, Broken, Foreign, declared
from scalekit.health.drain import is_draining
from scalekit.health.probes import all_paths
from scalekit.health.releases import release

NO_PAGE = "/scalekitnosuchpage"  # what answers here answers anywhere
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
def check_version(**_: Any) -> list[CheckMessage]:
    """Find a version that ``/version`` cannot tell."""
    try:
        release()
    except SettingInvalid:
        return []  # scalekit.core.E002 says so
    except (OSError, ValueError) as error:
        return [
            Error(
                f"SCALEKIT_HEALTH_VERSION = {settings.VERSION!r} cannot be read: {error}",
                hint='Let the build write that file, such as {"version": "1.4.0", "commit": "0c2f6f1"}, or write the '
                "dictionary itself into the settings.",
                id="scalekit.health.E004",
            )
        ]
    return []


@register()
def check_hidden_pages(**_: Any) -> list[CheckMessage]:
    """Find pages of the site that a probe hides."""
    try:
        hidden = [path for path in all_paths() if _is_page(path)]
    except SettingInvalid:
        return []  # scalekit.core.E002 says so
    if MIDDLEWARE not in django_settings.MIDDLEWARE:
        return []
    return [
        Warning(
            f"The site has a page at {path}, but HealthMiddleware answers there.",
            hint=f"Write SCALEKIT_HEALTH_PATHS = {{{path!r}: None}} to get the page back.",
            id="scalekit.health.W004",
        )
        for path in hidden
    ]


def _is_page(path: str) -> bool:
    """Tell whether the site means this very path; a pattern that takes any path does not."""
    try:
        return resolve(path).route != _route(NO_PAGE)
    except Resolver404:
        return False


def _route(path: str) -> str | None:
    try:
        return resolve(path).route
    except Resolver404:
        return None


@register(deploy=True)
def check_middleware(**_: Any) -> list[CheckMessage]:
    """Find a site that cannot be probed, or that takes its load balancer for its visitors."""
    if MIDDLEWARE not in django_settings.MIDDLEWARE:
        return [
            Warning(
                f"{MIDDLEWARE} is not in MIDDLEWARE: nothing answers at /livez and /readyz.",
                hint="Put it first.",
                id="scalekit.health.W005",
            )
        ]
    try:
        trusted = list(proxies.TRUSTED_PROXIES)
    except SettingInvalid:
        return []  # scalekit.core.E002 says so
    return _no_proxy() if not trusted else [_all_proxies(n) for n in trusted if _is_everybody(n)]


def _no_proxy() -> list[CheckMessage]:
    return [
        Warning(
            "SCALEKIT_TRUSTED_PROXIES is empty: behind a load balancer every visitor has its address, "
            "and the request id that it sends is not taken.",
            hint='Write where the load balancer stands: SCALEKIT_TRUSTED_PROXIES = ["10.0.0.0/24"].',
            id="scalekit.health.W006",
        )
    ]


def _all_proxies(network: str) -> CheckMessage:
    return Warning(
        f"SCALEKIT_TRUSTED_PROXIES trusts {network}, that is everybody: a visitor has any address they like.",
        hint='Write where the load balancer stands: SCALEKIT_TRUSTED_PROXIES = ["10.0.0.0/24"].',
        id="scalekit.health.W007",
    )


def _is_everybody(network: str) -> bool:
    return network.endswith("/0")


@register()
def check_health_modules(**_: Any) -> list[CheckMessage]:
    """Find what ``health.py`` modules offer that is no check, broken, or named twice."""
    messages: list[CheckMessage] = []
    names: Counter[str] = Counter()
    for module, items in declared():
        messages += [_no_check(module, i) for i in items if not isinstance(i, (Check, Foreign))]
        messages += [_broken(item) for item in items if isinstance(item, Broken)]
        messages += [_foreign(module, item) for item in items if isinstance(item, Foreign)]
        if module != OURS:  # those make room for others of their name
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
