"""Read addresses from environment variables; say what to type when one is missing."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def required(name: str, *, example: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        msg = f'{name} is not set. This stage needs it; for example: export {name}="{example}"'
        raise ImproperlyConfigured(msg)
    return value


def required_list(name: str, *, example: str) -> list[str]:
    """Return the parts of a comma-separated variable."""
    return split(required(name, example=example))


def optional_list(name: str) -> list[str]:
    return split(os.environ.get(name, ""))


def split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def postgresql(url: str, **extra: Any) -> dict[str, Any]:
    """Return a DATABASES entry for ``postgresql://user:password@host:port/name?option=value``."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or len(parts.path) < 2:  # noqa: PLR2004
        msg = "A database address reads postgresql://user:password@host:5432/name"
        raise ImproperlyConfigured(msg)  # without the value: it may hold a password
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        **extra,
    }


def before(items: list[str], where: str, *new: str) -> list[str]:
    """Return `items` with `new` inserted before `where`."""
    position = items.index(where)
    return [*items[:position], *new, *items[position:]]


def after(items: list[str], where: str, *new: str) -> list[str]:
    """Return `items` with `new` inserted after `where`."""
    position = items.index(where) + 1
    return [*items[:position], *new, *items[position:]]
