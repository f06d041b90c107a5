from __future__ import annotations

from scalekit.core.apps import RungConfig


class CacheConfig(RungConfig):
    name = "scalekit.cache"
    label = "scalekit_cache"
    verbose_name = "scalekit: cache"

    def ready(self) -> None:
        super().ready()
        from scalekit.cache.invalidation.watching import watch_connections

        watch_connections()
