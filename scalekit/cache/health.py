"""Health checks of the caches: without one the site is slower, not down."""

from __future__ import annotations

from secrets import token_hex

from django.conf import settings
from django.core.cache import caches

from scalekit.health.base import Check


class CacheCheck(Check):
    """Write a value and read it back."""

    critical = False

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.name = f"cache {alias}"

    def run(self) -> None:
        key, value = f"scalekit:health:{token_hex(8)}", token_hex(8)
        cache = caches[self.alias]
        cache.set(key, value, 10)
        if cache.get(key) != value:
            raise OSError("A value just written could not be read back.")
        cache.delete(key)


def checks() -> list[Check]:
    """Return one check for each cache that is there to keep anything."""
    return [
        CacheCheck(alias)
        for alias, config in settings.CACHES.items()
        if not config["BACKEND"].endswith(".DummyCache")
    ]
