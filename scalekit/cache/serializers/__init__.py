"""How values are written down: one file a format, `base` the contract."""

from __future__ import annotations

from scalekit.cache.conf import settings
from scalekit.cache.serializers.base import Serializer
from scalekit.core.backends import Backends

serializers: Backends[Serializer] = Backends(
    "SCALEKIT_CACHE_SERIALIZER",
    Serializer,  # type: ignore[type-abstract]  # the base that backends must have
    lambda: settings.SERIALIZER,
)


def serializer_of(alias: str) -> Serializer:
    """Return the serializer of ``CACHES[alias]``, which is that of "default" unless it has its own."""
    return serializers[alias if alias in serializers else "default"]
