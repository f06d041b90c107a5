from __future__ import annotations

from scalekit.core.conf import Setting, Settings


class CacheSettings(Settings):
    prefix = "SCALEKIT_CACHE_"

    MAX_WAIT = Setting(
        10.0,
        "Seconds a call waits for another call of its process that loads the same value; then it loads.",
        kind=(int, float),
        valid=lambda seconds: seconds > 0,
        expected="a number of seconds above 0",
    )
    BREAKER_SECONDS = Setting(
        5.0,
        "Seconds a cache that failed is left alone before one call tries it again.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )


settings = CacheSettings()
