"""Limits of the site, each of which a project may override in its settings."""

from __future__ import annotations

from django.conf import settings

DEFAULTS = {
    "PHOTOS_MAX_UPLOAD_BYTES": 12 * 1024 * 1024,
    "PHOTOS_MAX_PIXELS": 40_000_000,  # checked before a single pixel is decoded
    "PHOTOS_MAX_SIDE": 2048,  # what is kept of a larger photo
    "PHOTOS_THUMBNAIL_SIDE": 640,
    "PHOTOS_MAX_UPLOADS_PER_HOUR": 60,
    "PHOTOS_MAX_COMMENTS_PER_MINUTE": 10,  # by one person under one photo
    "PHOTOS_PAGE_SIZE": 24,
}


def limit(name: str) -> int:
    return getattr(settings, name, DEFAULTS[name])
