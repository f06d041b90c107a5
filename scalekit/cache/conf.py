from __future__ import annotations

from typing import Any

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
    SERIALIZER = Setting[dict[str, dict[str, Any]]](
        lambda: {"default": {"BACKEND": "scalekit.cache.serializers.pickle.PickleSerializer"}},
        "How values are written down, by alias of the cache; `default` is for all others.",
        kind=dict,
        valid=lambda plugs: "default" in plugs,
        expected='a dict with the alias "default"',
    )
    DIGEST = Setting(
        "blake2b",
        "The digest that signs stored values: blake2b (keyed) or hmac-sha256.",
        kind=str,
        valid=lambda name: name in {"blake2b", "hmac-sha256"},
        expected='"blake2b" or "hmac-sha256"',
    )
    COMPRESS_ABOVE = Setting[int | None](
        4096,
        "Bytes above which a value is stored compressed; None is never.",
        kind=(int, type(None)),
        valid=lambda size: size is None or size >= 0,
        expected="a number of bytes, 0 or more, or None",
    )


settings = CacheSettings()
