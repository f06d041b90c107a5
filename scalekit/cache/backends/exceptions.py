from __future__ import annotations

from django.core.cache import InvalidCacheBackendError

from scalekit.core.exceptions import ScalekitError


class CacheMisconfigured(ScalekitError, InvalidCacheBackendError):
    """An entry of CACHES cannot work as it is written."""


class CachesDown(ScalekitError, ConnectionError):
    """Neither a cache nor its gutter answers."""
