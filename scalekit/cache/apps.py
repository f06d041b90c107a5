from __future__ import annotations

from scalekit.core.apps import RungConfig


class CacheConfig(RungConfig):
    name = "scalekit.cache"
    label = "scalekit_cache"
    verbose_name = "scalekit: cache"
