from __future__ import annotations

import importlib

from scalekit.core.apps import RungConfig


class CacheConfig(RungConfig):
    name = "scalekit.cache"
    label = "scalekit_cache"
    verbose_name = "scalekit: cache"

    def ready(self) -> None:
        super().ready()
        importlib.import_module("scalekit.cache.backends.checks")
        importlib.import_module("scalekit.cache.invalidation.checks")
        from scalekit.cache.invalidation.watching import watch_connections

        watch_connections()
        from scalekit.cache.statistics.sharing import watch

        watch()
