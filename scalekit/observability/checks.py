"""System checks of observability."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's word

from scalekit.core.exceptions import SettingInvalid
from scalekit.observability.conf import metrics_wanted
from scalekit.observability.exceptions import MetricsUnavailable
from scalekit.observability.exposition import FOLDER
from scalekit.observability.meters import client

MIDDLEWARE = "scalekit.observability.middleware.RequestMiddleware"
MAY_STAND_BEFORE = {"scalekit.health.middleware.HealthMiddleware"}


@register()
def check_place(**_: Any) -> list[CheckMessage]:
    """Find a RequestMiddleware that does not see all that happens to a request."""
    middleware = list(django_settings.MIDDLEWARE)
    before = middleware[: middleware.index(MIDDLEWARE)] if MIDDLEWARE in middleware else []
    hiding = [path for path in before if path not in MAY_STAND_BEFORE]
    if not hiding:
        return []
    return [
        Warning(
            f"{MIDDLEWARE} stands behind {', '.join(hiding)}.",
            hint="Move it up, right behind HealthMiddleware: what others answer is neither logged nor timed.",
            id="scalekit.observability.W001",
        )
    ]


@register()
def check_metrics(**_: Any) -> list[CheckMessage]:
    """Find metrics that are asked for and cannot be counted."""
    try:
        if not metrics_wanted():
            return []
        client()
    except SettingInvalid:
        return []  # scalekit.core.E002 says so
    except MetricsUnavailable as error:
        return [Error(str(error), id="scalekit.observability.E001")]
    return _check_folder(os.environ.get(FOLDER))


def _check_folder(folder: str | None) -> list[CheckMessage]:
    if folder is None or (Path(folder).is_dir() and os.access(folder, os.W_OK)):
        return []
    return [
        Error(
            f"{FOLDER} = {folder!r} is no folder that this process may write to.",
            hint=f"Create it before the web servers start: mkdir -p {folder or '/run/metrics'}",
            id="scalekit.observability.E002",
        )
    ]
