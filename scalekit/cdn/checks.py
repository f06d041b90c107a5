"""System checks of the CDN."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's name
from django.utils.module_loading import import_string

from scalekit.cdn.conf import settings
from scalekit.cdn.storage import CdnStaticFilesStorage
from scalekit.core.exceptions import SettingInvalid

STORAGE = "scalekit.cdn.storage.CdnStaticFilesStorage"


@register(Tags.staticfiles)
def check_cdn(**_: Any) -> list[CheckMessage]:
    """Find settings that keep files away from the CDN, or browsers from the files."""
    try:
        url = settings.URL
    except SettingInvalid:  # scalekit.core.E002 says so
        return []
    return [*(_elsewhere() if _uses_cdn() else _unused()), *_blocked(url)] if url else []


def _uses_cdn() -> bool:
    try:
        return issubclass(import_string(_static_backend()), CdnStaticFilesStorage)
    except (ImportError, TypeError):
        return False


def _unused() -> list[CheckMessage]:
    return [
        Warning(
            f"SCALEKIT_CDN_URL is set, but static files are kept by {_static_backend()!r}, which does not use it.",
            hint=f'Write STORAGES = {{..., "staticfiles": {{"BACKEND": "{STORAGE}"}}}}.',
            id="scalekit.cdn.W001",
        )
    ]


def _elsewhere() -> list[CheckMessage]:
    static_url = str(django_settings.STATIC_URL)
    if "//" not in static_url:
        return []
    return [
        Warning(
            f"STATIC_URL = {static_url!r} names a host itself, so SCALEKIT_CDN_URL is not used for static files.",
            hint='Write STATIC_URL = "static/"; the host comes from SCALEKIT_CDN_URL.',
            id="scalekit.cdn.W002",
        )
    ]


def _blocked(url: str) -> list[CheckMessage]:
    if not (url.startswith("http://") and django_settings.SECURE_SSL_REDIRECT):
        return []
    return [
        Warning(
            f"SCALEKIT_CDN_URL = {url!r} is not encrypted, but the site is: browsers will block the files.",
            hint=f'Write SCALEKIT_CDN_URL = "https{url.removeprefix("http")}".',
            id="scalekit.cdn.W003",
        )
    ]


def _static_backend() -> str:
    return str(django_settings.STORAGES.get("staticfiles", {}).get("BACKEND"))
