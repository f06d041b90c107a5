"""What must be alike on all web servers of a site, as fingerprints that give none of it away."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import PurePath
from typing import Any

import django
from django.conf import settings
from django.db import connections
from django.utils.encoding import force_bytes

ALIKE = {
    "applications": ("INSTALLED_APPS", "MIDDLEWARE", "ROOT_URLCONF"),
    "caches": ("CACHES", "CACHE_MIDDLEWARE_KEY_PREFIX"),
    "cookies": ("SESSION_COOKIE_NAME", "SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_NAME"),
    "databases": ("DATABASES", "DATABASE_ROUTERS"),
    "files": ("STORAGES", "STATIC_URL", "MEDIA_URL"),
    "passwords": ("PASSWORD_HASHERS", "AUTHENTICATION_BACKENDS", "AUTH_USER_MODEL"),
    "sessions": ("SESSION_ENGINE", "SESSION_SERIALIZER", "SESSION_CACHE_ALIAS"),
    "time": ("USE_TZ", "TIME_ZONE"),
}


def fingerprints() -> dict[str, str]:
    """Return one short text for each thing that must be alike; equal texts mean equal settings.

    Keyed with SECRET_KEY, for a plain hash of a password could be guessed.
    """
    connections.settings  # noqa: B018 - completes DATABASES, so that it is compared in one form
    found = {what: _fingerprint([_stable(name) for name in names]) for what, names in ALIKE.items()}
    return {"secret key": _fingerprint("secret key"), "django": django.get_version(), **found}


def _fingerprint(value: object) -> str:
    # HMAC-SHA-256, RFC 2104; 64 bits of it tell servers apart.
    key = force_bytes(settings.SECRET_KEY)
    return hmac.new(key, repr(value).encode(), hashlib.sha256).hexdigest()[:16]


def _stable(name: str) -> object:
    return _sorted(getattr(settings, name, None))


def _sorted(value: Any) -> object:
    """Return a value whose repr is the same in every process: no order of dictionaries, no addresses of objects."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(inner)) for key, inner in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_sorted(inner) for inner in value]
    if isinstance(value, (str, int, float, bool, PurePath, type(None))):
        return str(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
